"""The ``agents`` command does what it says, continues exactly, and explains errors on one line."""

import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import agents
from agents.cli import main

ID = "TextDialogue-v0"
ENV = ["--env", "tokenizer=textenvs", "window=160", "max_utterance_tokens=12"]


def train(model: str, out: Path, *more: str, steps: int = 64) -> list[str]:
    return [
        *("train", "ppo", ID, "--backbone", model, "--num-envs", "2", "--seed", "3", "--timesteps", str(steps)),
        *("--out", str(out), "--save-every", "32", "--eval-episodes", "0", "--set", "n_steps=16", "batch_size=16"),
        *(*ENV, *more),
    ]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return dict(agents.load(out / "checkpoint.pt").policy.state_dict())


@pytest.fixture(scope="module")
def run(small_model: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "run"
    assert main(train(small_model, out)) == 0
    return out


@pytest.fixture(scope="module")
def whole(small_model: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights of a longer run that nothing interrupts."""
    out = tmp_path_factory.mktemp("cli") / "whole"
    assert main(train(small_model, out, steps=256)) == 0
    return weights(out)


def test_help_does_not_wait_for_torch() -> None:
    code = (
        "import sys, agents.cli\ntry: agents.cli.main(['--help'])\nexcept SystemExit: assert 'torch' not in sys.modules"
    )
    assert "train" in subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("package", ["agents", "benchmarks"])
@pytest.mark.parametrize("set_before", [None, "77"])
def test_idle_threads_spin_for_a_little_while_unless_told_otherwise(package: str, set_before: str | None) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environment |= {} if set_before is None else {"GOMP_SPINCOUNT": set_before}
    script = f"import {package}, sys, os; assert 'torch' not in sys.modules; print(os.environ['GOMP_SPINCOUNT'])"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (set_before or "5000")


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "dqn" in shown and "stable_baselines3.PPO" in shown and "choice, token" in shown


def test_a_run_goes_on_where_it_is_told_to(
    small_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert main(train(small_model, out, "--device", "gpu")) == 2
    assert "no device 'gpu'" in capsys.readouterr().err and not out.exists()
    assert main(train(small_model, out, "--device", "cpu")) == 0
    assert main(train(small_model, out, "--resume", "--device", "cpu", steps=96)) == 0
    model = agents.load(out / "checkpoint.pt")
    assert model.num_timesteps == 96 and model.recipe["overrides"]["device"] == "cpu"  # type: ignore[attr-defined]
    assert main(["eval", str(out), ID, "--episodes", "2", "--device", "cpu"]) == 0


def test_train_writes_a_checkpoint_and_logs(run: Path) -> None:
    model = agents.load(run / "checkpoint.pt")
    assert model.num_timesteps == 64
    assert model.recipe["overrides"] == {"n_steps": 16, "batch_size": 16}  # type: ignore[attr-defined]
    assert list((run / "tb").glob("events*"))
    assert [file.name for file in run.iterdir() if file.name.startswith(".")] == []


def test_train_compares_players_at_the_end(
    small_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(train(small_model, tmp_path / "x", "--eval-episodes", "3", steps=32)) == 0
    shown = capsys.readouterr().out
    for name in ("random", "trained, sampled", "trained, greedy", "expert"):
        assert name in shown


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_stopped_run_resumes_to_the_same_weights(
    small_model: str, tmp_path: Path, whole: dict[str, torch.Tensor], sign: signal.Signals
) -> None:
    out, checkpoint = tmp_path / "run", tmp_path / "run" / "checkpoint.pt"
    command = [sys.executable, "-m", "agents", *train(small_model, out, steps=256)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        seen: set[int] = set()
        while len(seen) < 3 and process.poll() is None:  # the first save and two of rollout starts
            if checkpoint.exists():
                seen.add(checkpoint.stat().st_mtime_ns)
            time.sleep(0.005)
        time.sleep(0.02)
        process.send_signal(sign)
        shown, _ = process.communicate()
    assert 0 < agents.load(checkpoint).num_timesteps < 256
    again = [*train(small_model, out, steps=256), "--resume"]
    if sign == signal.SIGINT:
        assert process.returncode == 130
        again = shlex.split(shown.splitlines()[-1])[1:]
        assert again[:3] == ["train", "ppo", ID] and "--resume" in again
    else:
        assert process.returncode == -signal.SIGKILL
    assert main(again) == 0
    resumed = weights(out)
    assert resumed.keys() == whole.keys()
    for name in whole:
        assert torch.equal(resumed[name], whole[name]), name


def test_train_keeps_what_is_there(
    run: Path, small_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "checkpoint.pt").read_bytes()
    for more, message in (
        ([], "--force"),
        (["--resume"], "is done: it has 64 of 64"),
        (["--resume", "--seed", "4", "--timesteps", "500"], "made with --seed 3"),
        (["--resume", "--set", "reward_scale=0.5", "--timesteps", "500"], "made with --set reward_scale 1.0"),
    ):
        assert main(train(small_model, run, *more)) == 2
        assert message in capsys.readouterr().err
    assert (run / "checkpoint.pt").read_bytes() == before
    assert main(train(small_model, run.parent / "rum", "--resume")) == 2
    shown = capsys.readouterr().err
    assert "nothing to resume" in shown and f"did you mean {run}?" in shown
    out = tmp_path / "x"
    assert main(train(small_model, out, steps=64)) == 0
    assert main(train(small_model, out, "--force", steps=32)) == 0
    assert agents.load(out / "checkpoint.pt").num_timesteps == 32
    assert main(["train", "ppo", ID, "--out", str(out), "--resume", "--timesteps", "64", "--eval-episodes", "0"]) == 0
    assert agents.load(out / "checkpoint.pt").num_timesteps == 64


def test_eval(run: Path, small_model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for player, more in (
        ("expert", []),
        ("random", ["--split", "train"]),
        (str(run), ["--greedy"]),
        (str(run / "checkpoint.pt"), ["--level", "easy"]),
        (small_model, ENV),
    ):
        file = tmp_path / "out" / "result.json"
        assert main(["eval", player, ID, "--episodes", "3", "--json", str(file), *more]) == 0, capsys.readouterr().err
        name = player.removesuffix("/checkpoint.pt").rpartition("/")[2]
        assert name in capsys.readouterr().out and name in file.read_text()
        result = json.loads(file.read_text())
        assert len(result["returns"]) == 3
        assert result["split"] == ("train" if player == "random" else "test")
        assert result["level"] == ("easy" if "easy" in more else "medium")


def test_eval_of_another_game_than_that_of_training(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run), "TextGuessNumber-v0", "--episodes", "2"]) == 0, capsys.readouterr().err


def test_watch(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "expert", ID]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("env:   user: ") and "agent: " in shown and shown.rstrip().endswith("success")
    outputs = []
    for seed in ("1", "1", "2"):
        assert main(["watch", str(run), ID, "--seed", seed]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] != outputs[2]
    lines = outputs[0].splitlines()
    assert lines[-1].startswith("return ")
    assert "[" in lines[2]


def chat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str, *args: str) -> list[str]:
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    assert main(["chat", *args]) == 0
    return capsys.readouterr().out.splitlines()


def test_chat(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    said = "i need a cheap restaurant\ndatabase: 2 found: a, b\n\n/reset\nuser: i need a cheap restaurant\n/quit\nno\n"
    lines = chat(monkeypatch, capsys, said, str(run), "--greedy")
    replies = "\n".join(lines).split("assistant: ")[1:]
    assert len(replies) == 3
    assert replies[0].rstrip() == replies[2].rstrip()
    long = chat(monkeypatch, capsys, ("word " * 250 + "\n") * 3 + "<agent>", str(run))  # more than the window holds
    assert sum(line.startswith("assistant: ") for line in long) == 4


def test_chat_reads_the_stream_of_the_environment(run: Path) -> None:
    from agents.speaking import load_speaker
    from agents.speaking.chat import Chat

    speaker = load_speaker(str(run))
    tokenizer, talk = speaker.tokenizer, Chat(speaker, greedy=True)
    talk.reply("user: hello")
    said = talk.messages[-1]["ids"]
    talk.reply("database: none")
    talk.messages.pop()
    assert talk.context() == [
        *(*tokenizer.opening_prefix, *tokenizer.encode("user: hello"), *tokenizer.agent_prefix, *said),
        *(tokenizer.end_id, *tokenizer.env_prefix, *tokenizer.encode("database: none"), *tokenizer.agent_prefix),
    ]


def test_export_then_chat_with_the_folder(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), str(tmp_path / "model")]) == 0
    AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    capsys.readouterr()
    said = "hello\nthree people\n"
    ours = chat(monkeypatch, capsys, said, str(run), "--greedy")
    assert chat(monkeypatch, capsys, said, str(tmp_path / "model"), "--greedy") == ours


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("train pppo TextDialogue-v0 --out {tmp}", "did you mean 'ppo'?"),
        ("train ppo TextDialog-v0 --out {tmp}", "did you mean 'TextDialogue-v0'?"),
        ("train ppo TextDialogue-v0 --out {tmp} --set n_step=3", "did you mean 'n_steps'?"),
        ("train ppo TextDialogue-v0 --out {tmp} --set seed=3", "use --seed"),
        ("train ppo TextDialogue-v0 --out {tmp} --env windw=3", "did you mean 'window'?"),
        ("train ppo TextDialogue-v0 --out {tmp} --env window", "KEY=VALUE"),
        ("train dqn TextDialogue-v0 --out {tmp} --action-level turn", "dqn plays the levels"),
        ("train ppo TextDialogue-v0 --out {tmp} --backbone {tmp}/none", "no model"),
        ('train ppo TextDialogue-v0 --out {tmp} --backbone {{"model_type":"abacus"}}', "knows no model_type"),
        ("train ppo TextDialogue-v0 --out {tmp} --timesteps 0", "--timesteps"),
        ("train ppo TextDialogue-v0 --out {tmp} --set n_steps=0", "must be greater than 1"),
        ("train ppo TextDialogue-v0 --out {tmp} --set batch_size=1", "must be greater than 1"),
        ("train ppo TextDialogue-v0 --out {tmp} --set learning_rate=abc", "not abc"),
        (
            'train ppo TextDialogue-v0 --out {tmp} --backbone {{"model_type":"llama","hidden_size":33,'
            '"num_attention_heads":4}}',
            "this llama configuration makes no model",
        ),
        ("eval expret TextDialogue-v0", "did you mean 'expert'?"),
        ("eval expert TextDialogue-v0 --level hardest", "level must be"),
        ("chat {run} --dtype bfloat16", "a checkpoint brings its own lora and dtype"),
        ("eval expert TextDialogue-v0 --split tests", "split must be"),
        ("eval expert TextDialogue-v0 --episodes 0", "--episodes"),
        ("eval {run}/checkpoints.pt TextDialogue-v0", "did you mean {run}/checkpoint.pt?"),
        ("watch expert Dialogue", "did you mean 'TextDialogue-v0'?"),
        ("watch expert TextDialogue-v0 --env action_level=turn", "--env action_level"),
        ("chat expert", "no language model"),
        ("serve random", "no language model"),
        ("serve tinny", "did you mean 'tiny'?"),
        ("serve tiny --api-key-env NO_SUCH_VARIABLE", "NO_SUCH_VARIABLE is not set"),
        ("serve tiny --rows 0 --port 0", "rows must be"),
        ("serve tiny --limit -5 --port 0", "limit must be at least 2"),
        ("serve tiny --limit 0 --port 0", "limit must be at least 2"),
        ("serve tiny --port 99999", "port must be from 0 to 65535"),
        ("serve tiny --port -1", "port must be from 0 to 65535"),
        ("chat {run}x", "did you mean {run}?"),
        ("export {tmp} {tmp}/x", "is no checkpoint"),
    ],
)
def test_errors_are_one_line(
    command: str, message: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([part.format(tmp=tmp_path, run=run) for part in command.split()]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("agents: ") and shown.count("\n") == 1
    assert message.format(run=run) in shown
    assert list(tmp_path.iterdir()) == []


def test_what_a_learner_refuses_is_one_line_and_a_mistake_of_this_code_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "run")
    assert main(["train", "ppo", "TextDialogue-v0", "--out", out, "--num-envs", "1", "--set", "n_steps=1"]) == 2
    assert "must be greater than 1" in capsys.readouterr().err.splitlines()[-1]

    def fail(name: str) -> None:
        raise AssertionError("ours")

    monkeypatch.setattr("agents.cli._no_plain_player", fail)
    with pytest.raises(AssertionError, match="ours"):
        main(["serve", "tiny"])
