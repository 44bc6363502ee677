from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, trainers

from tests.textenvs.toys import Toy
from textenvs.env import TextEnv
from textenvs.tokens import TokenSpace, UnicodeText, UtteranceSpace, load_tokenizer
from textenvs.tokens.build import build
from textenvs.tokens.stream import TokenStream
from textenvs.tokens.tokenizer import SHIPPED_FILE, SPECIAL_TOKENS

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def hugging_face(special: list[str], **keywords: Any) -> Any:
    """A small byte-level tokenizer, as GPT-2 and its descendants have."""
    from transformers import PreTrainedTokenizerFast

    backend = tokenizers.Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    backend.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(["User: say what you like", "Assistant: what do you like to say?"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, **keywords)


def chat() -> Any:
    return hugging_face(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=CHATML,
    )


def plain() -> Any:
    return hugging_face(["<|endoftext|>"], eos_token="<|endoftext|>", bos_token="<|endoftext|>")


# --- the shipped tokenizer ---


def test_the_shipped_vocabulary() -> None:
    tokenizer = load_tokenizer("textenvs")
    assert tokenizer is load_tokenizer() is load_tokenizer(tokenizer)
    assert (tokenizer.vocab_size, tokenizer.pad_id, tokenizer.end_id) == (2048, 0, 2)
    assert (tokenizer.opening_prefix, tokenizer.agent_prefix, tokenizer.env_prefix) == ((1, 3), (4,), (3,))
    assert tokenizer.special_ids == (0, 1, 3, 4, 5, 6, 7)
    assert pickle.loads(pickle.dumps(tokenizer)) is tokenizer


@settings(max_examples=300)
@given(st.text())
def test_lossless_for_any_text(text: str) -> None:
    tokenizer = load_tokenizer()
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & {*tokenizer.special_ids, tokenizer.end_id}


@settings(max_examples=300)
@given(st.text(st.characters(max_codepoint=127)) | st.text("aB5 .\n"))
def test_the_fast_path_for_ascii_splits_as_the_library_does(text: str) -> None:
    tokenizer, library = load_tokenizer(), tokenizers.Tokenizer.from_file(str(SHIPPED_FILE))
    library.encode_special_tokens = True
    ids = library.encode(text, add_special_tokens=False).ids
    assert tokenizer.encode(text) == ids
    assert library.decode(ids, skip_special_tokens=False) == text


def test_a_word_has_the_same_ids_wherever_it_stands() -> None:
    tokenizer = load_tokenizer()
    for said, heard in (
        ("kettle", "kettle."),
        ("craft chair", "you craft chair"),
        ("42", "row 42"),
        ("-5", "it is -5"),
    ):
        ids, context = tokenizer.encode(said), tokenizer.encode(heard)
        assert any(context[start : start + len(ids)] == ids for start in range(len(context)))
    first, *others = tokenizer.encode("one two, 3")
    assert tokenizer.piece(first, first=True) + "".join(map(tokenizer.piece, others)) == "one two, 3"


def test_odd_text() -> None:
    tokenizer = load_tokenizer()
    for special in SPECIAL_TOKENS:
        assert tokenizer.decode(tokenizer.encode(special)) == special
        assert not set(tokenizer.encode(special)) & {*tokenizer.special_ids, tokenizer.end_id}
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert tokenizer.decode(tokenizer.encode("\ud83d\ude00")) == "😀"
    broken = tokenizer.encode("日")[:-1]
    assert "\ufffd" in tokenizer.decode(broken)
    assert tokenizer.decode([*tokenizer.opening_prefix, *tokenizer.encode("hi"), tokenizer.end_id]) == "hi"
    texts = ["", "one", "日本", "two three"]
    assert tokenizer.encode_batch(texts) == [tokenizer.encode(text) for text in texts]
    assert len(tokenizer.encode("1234567")) == 7  # digits stand alone


def test_the_build_is_exact() -> None:
    assert build(vocab_size=400, episodes=2) == build(vocab_size=400, episodes=2)
    with pytest.raises(ValueError, match="the corpus gives only"):
        build(vocab_size=100_000, episodes=1)


# --- C7: Hugging Face tokenizers ---


def test_a_chat_template_gives_the_five_pieces() -> None:
    source = chat()
    tokenizer = load_tokenizer(source)
    assert load_tokenizer(source) is tokenizer
    assert source.decode(tokenizer.opening_prefix) == "<|im_start|>user\n"
    assert source.decode(tokenizer.agent_prefix) == "<|im_end|>\n<|im_start|>assistant\n"
    assert source.convert_ids_to_tokens(tokenizer.end_id) == "<|im_end|>"
    assert source.decode(tokenizer.env_prefix) == "\n<|im_start|>user\n"
    assert source.convert_ids_to_tokens(tokenizer.pad_id) == "<|endoftext|>"


@pytest.mark.parametrize("generation", ["turn", "token"])
def test_the_stream_is_the_chat_template_s_own_rendering(generation: str) -> None:
    source = chat()
    env = TextEnv(Toy, tokenizer=source, action_level=generation, max_turns=4)
    observation, _ = env.reset(seed=0)
    done = False
    while not done:
        roles = {"env": "user", "agent": "assistant"}
        messages = [{"role": roles[role], "content": text} for role, text in env.transcript]
        if not env._writing:
            rendered = source.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            assert source.decode(observation[observation != env.tokenizer.pad_id]) == rendered
        action = env.tokenizer.end_id if generation == "token" else env.encode("say nothing")
        observation, _, terminated, truncated, _ = env.step(action)
        done = terminated or truncated


def test_a_space_before_the_end_token_is_not_the_end() -> None:
    source = chat()
    source.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'user' %}{{ '<|im_start|>' + m['content'] + ' [/INST]' }}"
        "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}"
    )
    tokenizer = load_tokenizer(source)
    assert source.convert_ids_to_tokens(tokenizer.end_id) == "<|im_end|>"
    assert source.decode(tokenizer.env_prefix) == "<|im_start|>"
    env = TextEnv("textenvs.games.board.nim:Nim", tokenizer=source, max_utterance_tokens=64)
    env.reset(seed=0)
    said = env.game.expert_action()
    env.step(env.expert_action())
    assert env.transcript[1] == ("agent", said)


def test_without_a_template_a_plain_layout_closed_by_eos() -> None:
    source = plain()
    tokenizer = load_tokenizer(source)
    assert source.decode(tokenizer.opening_prefix) == "<|endoftext|>User:\n"
    assert source.decode(tokenizer.agent_prefix) == "\nAssistant:\n"
    assert source.decode(tokenizer.env_prefix) == "\nUser:\n"
    assert tokenizer.end_id == source.eos_token_id
    # There is no padding token and none to spare: the byte that no text contains serves.
    assert source.convert_ids_to_tokens(tokenizer.pad_id) == "\xff"
    source.pad_token = source.eos_token  # what many people do
    assert load_tokenizer(plain()).pad_id != tokenizer.end_id


@pytest.mark.parametrize("source", [chat(), plain()], ids=["chat", "plain"])
def test_special_tokens_typed_as_text_are_text(source: Any) -> None:
    before = source.encode("a<|endoftext|>")
    tokenizer = load_tokenizer(source)
    for text in ("<|endoftext|>", "<|im_end|> hi", "日本 \ud800"):
        ids = tokenizer.encode(text)
        assert not set(ids) & {*tokenizer.special_ids, tokenizer.end_id}
        assert tokenizer.decode(ids) == text.replace("\ud800", "\ufffd")
    assert tokenizer.encode_batch(["a", "<|endoftext|>"]) == [tokenizer.encode("a"), tokenizer.encode("<|endoftext|>")]
    assert source.encode("a<|endoftext|>") == before  # the user's object is as it was


@pytest.mark.parametrize("source", [chat(), plain()], ids=["chat", "plain"])
def test_environments_run_on_them(source: Any) -> None:
    for action_level in ("turn", "token", "choice"):
        env = TextEnv(Toy, tokenizer=source, action_level=action_level, window=256)
        observation, _ = env.reset(seed=0)
        done = False
        while not done:
            assert env.observation_space.contains(observation)
            observation, reward, done, truncated, info = env.step(env.expert_action())
            assert not truncated
        assert info["success"] and reward == 1.0


def test_from_a_folder_and_errors(tmp_path: Path) -> None:
    chat().save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer is load_tokenizer(tmp_path) and tokenizer.env_prefix == load_tokenizer(chat()).env_prefix
    with pytest.raises(ValueError, match="could not be loaded"):
        load_tokenizer(str(tmp_path / "nothing" / "here"))
    with pytest.raises(ValueError, match="set its eos_token"):
        load_tokenizer(hugging_face(["<a>"]))
    with pytest.raises(TypeError, match="tokenizer must be"):
        load_tokenizer(7)


# --- spaces ---

SPACES: list[spaces.Space[Any]] = [
    TokenSpace(10, 20, 0, 2, (0, 1), 3, 4, seed=1),
    UtteranceSpace(6, 20, 0, 2, (0, 1), seed=1),
    UnicodeText(100, seed=1),
]


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_spaces_copy_compare_and_sample(space: spaces.Space[Any]) -> None:
    for clone in (copy.deepcopy, lambda space: pickle.loads(pickle.dumps(space))):
        space.seed(3)
        twin = clone(space)
        assert twin == space and type(twin) is type(space) and repr(twin) == repr(space)
        for _ in range(20):
            sample = space.sample()
            assert space.contains(sample)
            np.testing.assert_array_equal(sample, twin.sample())
    assert all(other == space for other in SPACES) is False
    assert not space.contains(None) and not space.contains(3.5)


def test_token_space_parts_and_bounds() -> None:
    space = TokenSpace(10, 20, 0, 2, (0, 1), 3, 4)
    observation = np.arange(2 * 22, dtype=np.int32).reshape(2, 22)
    assert space.context(observation).shape == (2, 10)
    assert space.choices(observation).shape == (2, 4, 3)
    assert space.choices(observation)[1, 0].tolist() == [32, 33, 34]
    good = np.zeros(22, np.int32)
    assert space.contains(good) and not space.contains(good + 20) and not space.contains(good - 1)
    assert not space.contains(good.astype(np.float32)) and not space.contains(good[:-1])


def test_contexts_end_with_the_last_token_that_is_no_padding() -> None:
    space = TokenSpace(4, 20, 0, 2, (0, 1), 3, 1)
    contexts = [[5, 6, 0, 0], [5, 0, 7, 0], [0, 0, 0, 8], [0, 0, 0, 0]]
    observations = np.array([[*context, 9, 9, 9] for context in contexts], np.int32)
    assert space.lengths(observations).tolist() == [2, 3, 4, 0]


def test_utterance_samples_hold_no_special_ids() -> None:
    space = UtteranceSpace(6, 20, 0, 2, (0, 1), seed=0)
    lengths = set()
    for _ in range(200):
        ids = space.sample().tolist()
        said = ids[: ids.index(2)] if 2 in ids else ids
        assert not set(said) & {0, 1, 2} and set(ids[len(said) + 1 :]) <= {0}
        lengths.add(len(said))
    assert lengths == set(range(7))


def test_unicode_text_is_any_string() -> None:
    space = UnicodeText(5)
    assert space.contains("") and space.contains("日本") and not space.contains("a" * 6)


# --- the stream ---


@settings(max_examples=200)
@given(st.integers(4, 40), st.integers(1, 50), st.lists(st.tuples(st.integers(1, 30), st.booleans()), max_size=30))
def test_stream_keeps_the_newest_and_pads_the_rest(window: int, opening: int, parts: list[tuple[int, bool]]) -> None:
    stream = TokenStream(np.empty(window, np.int32), window, 0)
    everything = list(range(1, opening + 1))
    stream.start(everything)
    for length, closes in parts:
        ids = list(range(len(everything) + 1, len(everything) + 1 + length))
        everything += ids
        stream.append(ids, closes)
        kept = stream.buffer[: stream.length].tolist()
        newest = min(length, max(window - opening, window // 2))
        assert kept[-newest:] == everything[-newest:]
        assert sorted(kept) == kept and (stream.buffer[stream.length :] == 0).all()
        assert stream.length == stream._opening + sum(stream._exchanges) + stream._newest


def test_a_full_window_is_read_anew_seldom() -> None:
    stream = TokenStream(np.empty(100, np.int32), 100, 0)
    stream.start(range(20))
    moved = 0
    for turn in range(400):
        before = stream.buffer[: stream.length].tolist()
        stream.append([turn + 20] * 5, closes=True)
        kept = stream.buffer[: stream.length].tolist()
        assert kept[:20] == list(range(20)) and kept[-5:] == [turn + 20] * 5
        assert len(kept) == 25 + 5 * turn or len(kept) >= 60
        moved += kept[: len(before)] != before
    assert moved == 48  # every eighth turn once there are no more than sixteen exchanges
