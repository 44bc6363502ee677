"""Ratings move the model as their losses say, can be taken back, survive a kill, and do not cost the game's score."""

import copy
import io
import json
import math
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

import agents
from agents.cli import main
from agents.evaluation import Evaluation, evaluate, paired_difference
from agents.learners.feedback import FeedbackLearner
from agents.memory.preferences import Preference, PreferenceFile, read_preferences
from agents.players import HFPlayer
from agents.speaking import Speaker, load_speaker
from agents.speaking.chat import Chat, Teaching

ID = "TextDialogue-v0"
PROMPT = [{"role": "user", "content": "user: i am looking for a cheap hotel"}]
ONE = {"role": "assistant", "content": "what area would you like"}
OTHER = {"role": "assistant", "content": "what area"}
QUESTION = re.compile(r"what [a-z ]+? would you like")
SMALL = {"rehearsal": 4, "rehearsal_tokens": 32}


def log_prob(backbone: Any, speaker: Speaker, reply: dict[str, str]) -> float:
    """Of a reply with its end, token by token."""
    ids = speaker.layout.encode(PROMPT)
    total = 0.0
    for token in [*speaker.tokenizer.encode(reply["content"]), speaker.tokenizer.end_id]:
        with torch.no_grad():
            total += float(backbone.logits(backbone(torch.tensor([ids]))[0, -1]).log_softmax(0)[token])
        ids.append(token)
    return total


@pytest.fixture(scope="module")
def moved() -> FeedbackLearner:
    """A learner whose model has left its start."""
    learner = FeedbackLearner(load_speaker("tiny"), beta=0.2, imitation=0.7, kl_coef=0.0)
    with torch.no_grad():
        for parameter in learner.speaker.backbone.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return learner


def test_losses_are_those_of_the_papers(moved: FeedbackLearner) -> None:
    speaker = moved.speaker
    own = {reply["content"]: log_prob(speaker.backbone, speaker, reply) for reply in (ONE, OTHER)}
    start = {reply["content"]: log_prob(moved.reference, speaker, reply) for reply in (ONE, OTHER)}
    gain = {text: 0.2 * (own[text] - start[text]) for text in own}
    assert all(abs(value) > 0.01 for value in gain.values())
    one, other = ONE["content"], OTHER["content"]
    imitation = -0.7 * own[one] / (len(speaker.tokenizer.encode(one)) + 1)
    better = math.log1p(math.exp(gain[other] - gain[one])) + imitation
    bad = 1 - 1 / (1 + math.exp(gain[other]))
    ratings = [Preference(PROMPT, ONE, OTHER), Preference(PROMPT, ONE), Preference(PROMPT, None, OTHER)]
    losses = [better, imitation, bad]
    assert moved.loss(ratings).tolist() == pytest.approx(losses, rel=1e-4)
    assert [moved.loss([rating]).item() for rating in ratings] == pytest.approx(losses, rel=1e-4)


def test_the_divergence_is_that_of_the_two_distributions(moved: FeedbackLearner) -> None:
    ids = torch.tensor([[1, 3, 50, 60]])
    with torch.no_grad():
        expected, found = (
            each.logits(each(ids)).double().log_softmax(-1) for each in (moved.reference, moved.speaker.backbone)
        )
    by_hand = (expected.exp() * (expected - found)).sum(-1)
    found = moved.divergence([ids[0].numpy(), np.array([1, 3])], [1, 1])
    torch.testing.assert_close(found.double(), by_hand[0, [0, 1, 2, 0]], atol=1e-4, rtol=1e-3)
    assert by_hand.min() > 0


def test_each_rating_moves_its_replies_and_can_be_taken_back() -> None:
    speaker = load_speaker("tiny")
    learner = FeedbackLearner(speaker, **SMALL)
    start = copy.deepcopy(speaker.backbone.state_dict())

    def now() -> tuple[float, float]:
        return log_prob(speaker.backbone, speaker, ONE), log_prob(speaker.backbone, speaker, OTHER)

    one, other = now()
    figures = learner.rate(Preference(PROMPT, OTHER, ONE))
    assert now()[0] - one < now()[1] - other and now()[1] > other
    assert figures["kl"] > 0 and figures["seconds"] > 0
    second, third_reply = now(), {"role": "assistant", "content": "look up hotel price cheap"}
    unrated = log_prob(speaker.backbone, speaker, third_reply)
    learner.rate(Preference(PROMPT, None, third_reply))
    assert log_prob(speaker.backbone, speaker, third_reply) < unrated - 0.1
    learner.undo()
    assert now() == second and len(learner.ratings) == 1
    third = learner.rate(Preference(PROMPT, ONE))
    assert now()[0] > second[0]
    learner.undo()
    again = learner.rate(Preference(PROMPT, ONE))
    assert {**third, "seconds": 0} == {**again, "seconds": 0}  # the optimizer and the draws went back too
    learner.undo()
    learner.undo()
    for name, tensor in speaker.backbone.state_dict().items():
        assert torch.equal(tensor, start[name]), name
    with pytest.raises(ValueError, match="at least one message"):
        learner.rate(Preference([], ONE))
    with pytest.raises(ValueError, match="no rating to take back"):
        learner.undo()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rehearsal_holds_the_model_and_costs_no_gradient_at_its_start(seed: int) -> None:
    ratings = [Preference(PROMPT, OTHER, ONE)] * 4
    drift = {}
    for kl_coef in (0.001, 10.0):
        learner = FeedbackLearner(load_speaker("tiny"), kl_coef=kl_coef, seed=seed, **SMALL)
        assert learner.divergence(*zip(*learner._rehearsal, strict=True)).abs().max() < 1e-4
        for rating in ratings:
            learner.rate(rating)
        drift[kl_coef] = learner.divergence(*zip(*learner._begun, strict=True)).mean().item()
    assert drift[10.0] < 0.5 * drift[0.001]


def test_what_is_rehearsed_begins_as_what_was_rated() -> None:
    speaker = load_speaker("tiny")
    learner = FeedbackLearner(speaker, seed=0, **SMALL)
    nothing = list(speaker.tokenizer.opening_prefix)
    assert [(ids[:start].tolist(), len(ids)) for ids, start in learner._rehearsal] == [(nothing, len(nothing) + 32)] * 4
    longer = [*PROMPT, ONE, {"role": "user", "content": "user: in the east"}]
    learner.study([Preference(longer, OTHER)] * 8)
    begun = [ids[:start].tolist() for ids, start in learner._begun]
    assert {tuple(each) for each in begun} == {tuple(speaker.layout.encode(each)) for each in (PROMPT, longer)}
    assert len(begun) == 8 and all(len(ids) == start + 32 for ids, start in learner._begun)
    assert [start == len(nothing) for _, start in learner._rehearsed()] == [False, False, True, True]
    learner.rate(Preference(PROMPT, ONE))
    learner.undo()
    assert [ids[:start].tolist() for ids, start in learner._begun] == begun
    learner.undo()
    assert not learner._begun


def test_adapters_alone_learn() -> None:
    pytest.importorskip("peft")
    speaker = load_speaker("tiny", lora={"r": 2})
    before = copy.deepcopy(speaker.backbone.state_dict())
    FeedbackLearner(speaker, **SMALL).rate(Preference(PROMPT, OTHER, ONE))
    changed = {name for name, each in speaker.backbone.state_dict().items() if not torch.equal(each, before[name])}
    assert changed and all("lora_" in name for name in changed)


def test_lines_say_what_was_rated_and_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "preferences.jsonl"
    ratings = [
        Preference(PROMPT, ONE, OTHER),
        Preference([*PROMPT, {**ONE, "ids": [7]}, {"role": "user", "content": "südlich\n☂"}], ONE),
        Preference(PROMPT, None, OTHER),
    ]
    file = PreferenceFile(path)
    for rating in ratings:
        file.append(rating)
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert lines[0] == {"prompt": PROMPT, "chosen": [ONE], "rejected": [OTHER]}
    assert lines[2]["chosen"] == [] and "ids" not in lines[1]["prompt"][1]
    assert [each.to_json() for each in file] == [each.to_json() for each in ratings]
    file.undo()
    file.append(ratings[0])
    assert [each.rejected for each in read_preferences(path)] == [OTHER, None, OTHER]
    other = PreferenceFile(path)
    with pytest.raises(ValueError, match="nothing was added"):
        other.undo()
    other.append(ratings[2])
    with pytest.raises(ValueError, match="has grown since"):
        file.undo()
    file.close()
    other.close()


def test_a_torn_line_is_taken_off_and_a_bad_one_is_named(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    whole = Preference(PROMPT, ONE).to_json() + "\n"
    path.write_text(whole + whole[:40], "utf-8")
    assert len(list(read_preferences(path))) == 1
    file = PreferenceFile(path)
    file.append(Preference(PROMPT, None, ONE))
    file.close()
    assert path.read_text("utf-8") == whole + Preference(PROMPT, None, ONE).to_json() + "\n"
    for bad in ('{"prompt": 3}', "[]", '{"prompt": [], "chosen": [], "rejected": []}', '{"prompt": [1]}'):
        path.write_text(whole + bad + "\n", "utf-8")
        with pytest.raises(ValueError, match="line 2: "):
            list(read_preferences(path))


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signals")
def test_ratings_survive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    command = [sys.executable, "-m", "agents", "chat", "tiny", "--learn", "--preferences", str(path), "--greedy"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, bufsize=1, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write("i need a cheap hotel\n= what area would you like please\n-\n")
        process.stdin.flush()
        while not path.exists() or path.read_text("utf-8").count("\n") < 2:
            assert process.poll() is None
        process.kill()
    kept = list(read_preferences(path))
    assert [each.chosen is None for each in kept] == [False, True]
    assert kept[0].chosen == {"role": "assistant", "content": "what area would you like please"}
    assert kept[0].prompt == [{"role": "user", "content": "user: i need a cheap hotel"}]


def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, *args: str) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    assert main(["chat", *args]) == 0, capsys.readouterr().err
    return capsys.readouterr().out.splitlines()


def test_teaching_at_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = tmp_path / "p.jsonl", tmp_path / "taught"
    better = "= what area would you like please\n"
    said = (
        "+\ni need a cheap hotel\n"
        + better * 2
        + f"+\n-\n/undo\n/again\n/what\n=\n/save\n/save {out}\n/reset\n/again\n"
    )
    shown = talk(monkeypatch, capsys, said, "tiny", "--learn", "--greedy", "--preferences", str(file))
    told = [line.partition(" in ")[0] for line in shown]
    assert told[0] == "(there is no reply yet)" and told[1].startswith("assistant: ")
    assert told[2] == "(learned" and told[3] == "(that is what was said: rate it with +)"
    assert told[4:7] == ["(learned", "(learned", "(taken back)"] and told[7].startswith("assistant: ")
    assert "= TEXT" in told[8] and "say what would have been better" in told[9] and "say where" in told[10]
    assert told[11] == f"(saved: {out})" and told[12:14] == ["(a new dialogue)", "(there is no reply yet)"]
    assert len(list(read_preferences(file))) == 2
    # What was saved talks, and what was kept can be learned again.
    assert talk(monkeypatch, capsys, "i need a cheap hotel\n", str(out), "--greedy")[0].startswith("assistant: ")
    again = ("tiny", "--learn", "--relearn", "--greedy", "--preferences", str(file), "--save", str(tmp_path / "more"))
    shown = talk(monkeypatch, capsys, "i need a cheap hotel\n/undo\n+\n", *again)
    assert shown[0].startswith("(learned 2 ratings") and "nothing was added" in shown[2]
    assert shown[-1] == f"(saved: {tmp_path / 'more'})" and (tmp_path / "more" / "config.json").is_file()
    for options, message in (
        (["--save", "x"], "--save needs --learn"),
        (["--learn", "--save", str(file)], "is a file: give a folder"),
        (["--learn", "--relearn", "--preferences", str(tmp_path / "none")], "No such file"),
    ):
        assert main(["chat", "tiny", *options]) == 2
        assert message in capsys.readouterr().err


# --- a scripted rater ---


def polite_rater(teaching: Teaching, ratings: int, seed: int, level: str = "easy") -> list[float]:
    """Play dialogues of the train split and rate each question: good with "please" behind it, else better so.

    Returns:
        Seconds for each rating.
    """
    env: Any = gym.make(ID, level=level, split="train", as_text=True).unwrapped
    chat, seconds = teaching.chat, []
    text, _ = env.reset(seed=seed)
    while len(seconds) < ratings:
        said = chat.reply(text)
        question = QUESTION.match(said)
        if question is not None:
            wanted = f"{question[0]} please"
            figures = teaching.good() if said == wanted else teaching.better(wanted)
            seconds.append(figures["seconds"])
        text, _, terminated, truncated, _ = env.step(chat.messages[-1]["content"])
        if terminated or truncated:
            chat.reset()
            text, _ = env.reset()
    return seconds


def held_out(speaker: Speaker, episodes: int) -> tuple[Evaluation, float]:
    """Sampled play on the test split, and the share of questions that are polite."""
    player = HFPlayer(speaker, temperature=1.0, max_tokens=32)
    result = evaluate(player, ID, episodes, "test", "easy", keep=episodes)
    said = [text for transcript in result.transcripts for role, text in transcript if role == "agent"]
    questions = [(text, question[0]) for text in said if (question := QUESTION.match(text)) is not None]
    return result, float(np.mean([text == f"{question} please" for text, question in questions]))


def test_a_scripted_rater_changes_how_tiny_asks() -> None:
    torch.manual_seed(0)
    speaker = load_speaker("tiny")
    _, before = held_out(speaker, 16)
    teaching = Teaching(Chat(speaker), FeedbackLearner(speaker, rehearsal_tokens=64))
    seconds = polite_rater(teaching, 24, seed=0)
    _, after = held_out(speaker, 16)
    assert before == 0 and after > 0.2
    assert np.median(seconds) < 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_scripted_rater_does_not_cost_a_good_player_its_score(seed: int, tmp_path: Path) -> None:
    env_kwargs = {"level": "easy"}
    learner = agents.make("bc", ID, seed=seed, env_kwargs=env_kwargs, learning_rate=5e-4)
    learner.learn(30_000)
    agents.save(learner, tmp_path / "checkpoint.pt")
    torch.manual_seed(seed)
    speaker = load_speaker(tmp_path)
    before, rude = held_out(speaker, 100)
    assert before.scores is not None and before.scores.mean() > 90
    teaching = Teaching(Chat(speaker), FeedbackLearner(speaker, seed=seed))
    polite_rater(teaching, 40, seed)
    after, polite = held_out(speaker, 100)
    lost = -paired_difference(after, before)["score"].mean
    print(f"seed {seed}: polite {rude:.2f} -> {polite:.2f}, score lost {lost:.1f} of {before.scores.mean():.1f}")
    assert rude == 0 and polite > 0.6
    assert lost < 6  # points of 100
