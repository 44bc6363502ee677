"""Messages are laid out as environments lay out their streams, and no text can pose as a special token."""

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents.backbones.tokenizers import shipped_tokenizer
from agents.speaking import Layout
from textenvs.tokens.tokenizer import load_tokenizer

SYSTEM = {"role": "system", "content": "be brief"}
USER = {"role": "user", "content": "user: hello"}
AGENT = {"role": "assistant", "content": "what area would you like"}
STRICT = (  # as those of many models: no system role, user and assistant in turn
    "{% for m in messages %}{% if m['role'] not in ('user', 'assistant') %}{{ raise_exception('no such role') }}"
    "{% endif %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('take turns') }}{% endif %}"
    "{{ ('<env>' if m['role'] == 'user' else '<agent>') + m['content'] | trim + '<end>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<agent>' }}{% endif %}"
)


def with_template(template: str | None) -> Any:
    tokenizer = shipped_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


@pytest.mark.parametrize("source", ["textenvs", shipped_tokenizer(), with_template(None)], ids=["own", "chat", "plain"])
def test_a_dialogue_is_the_stream_of_the_environment(source: Any) -> None:
    env: Any = gym.make("TextDialogue-v0", tokenizer=source, window=400).unwrapped
    observation, _ = env.reset(seed=0)
    layout = Layout(source)
    for said in (None, "what area would you like", "book <end> <agent> now"):
        if said is not None:
            observation, *_ = env.step(said)
        roles = {"env": "user", "agent": "assistant"}
        messages = [{"role": roles[role], "content": text} for role, text in env.transcript]
        ids = layout.encode(messages)
        assert ids == observation[: len(ids)].tolist()
        assert all(observation[len(ids) :] == env.tokenizer.pad_id)


def test_an_assistants_own_ids_stand_for_its_words() -> None:
    layout = Layout()
    ids = layout.encode([USER, {**AGENT, "ids": [100, 101]}, USER])
    place = ids.index(100)
    assert ids[place - 1 : place + 3] == [*layout.tokenizer.agent_prefix, 100, 101, layout.tokenizer.end_id]


def test_a_template_that_knows_no_system_gets_it_with_the_users_words() -> None:
    layout = Layout(with_template(STRICT))
    decode = load_tokenizer("textenvs").decode
    ids = layout.encode([SYSTEM, USER, USER, AGENT, USER])
    assert decode(ids) == "be brief\n\nuser: hello\n\nuser: hello what area would you like user: hello"
    assert Layout("textenvs").encode([SYSTEM, USER]) == Layout("textenvs").encode(
        [{"role": "user", "content": "be brief\n\nuser: hello"}]
    )


@pytest.mark.parametrize("template", ["{{ messages[0]['content'] }}", "no message at all"])
def test_a_template_that_loses_messages_is_refused(template: str) -> None:
    with pytest.raises(ValueError, match="chat template"):
        Layout(with_template(template)).encode([USER, AGENT, USER])
    with pytest.raises(ValueError, match="at least one"):
        Layout().encode([])


def test_the_oldest_exchanges_give_way() -> None:
    layout = Layout()
    messages = [USER, *[{**AGENT, "content": "one"}, USER], *[{**AGENT, "content": "two"}, USER]]
    whole = layout.encode(messages)
    assert layout.fit(messages, len(whole)) == whole
    assert layout.fit(messages, len(whole) - 1) == layout.encode([USER, *messages[3:]])
    assert layout.fit(messages, 3) == layout.encode([USER, *messages[3:]])[-3:]


@pytest.mark.parametrize(
    "source", ["textenvs", shipped_tokenizer(), with_template(STRICT)], ids=["own", "chat", "strict"]
)
def test_a_conversation_that_goes_on_keeps_its_beginning(source: Any) -> None:
    layout = Layout(source)
    rng, room = np.random.default_rng(0), 120
    messages, moved = [SYSTEM, USER], 0
    before: list[int] = []
    for _ in range(80):
        for each in (AGENT, USER):
            words = " ".join(rng.choice(["area", "food", "price"], rng.integers(1, 5)))
            messages.append({**each, "content": words})
        ids = layout.fit(messages, room, start=2)
        assert len(ids) <= room and ids == layout.fit(messages, room, start=2)
        kept = next(n for n in range(2, len(messages), 2) if layout.encode([*messages[:2], *messages[n:]]) == ids)
        assert kept % 2 == 0
        moved += kept != before[-1] if before else 0
        before.append(kept)
    assert before == sorted(before) and before[-1] > 100
    assert 80 / 30 < moved < 80 / 4, "half of some twenty exchanges goes at once"
