"""Prompted language models play by the rules of the game, and servers' faults are met or told."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from agents.backbones.tokenizers import shipped_tokenizer
from agents.cli import main
from agents.evaluation import Evaluation, evaluate
from agents.players import HFPlayer, OpenAIPlayer, ServerError, Usage
from agents.players.named import prompted_player
from agents.players.prompted import first_line
from agents.speaking import Request, load_speaker
from textenvs.pages import section

ID = "TextDialogue-v0"


def rows(number: int = 2, **keywords: Any) -> tuple[list[Any], np.ndarray]:
    envs: list[Any] = [gym.make(ID, as_text=True, **keywords).unwrapped for _ in range(number)]
    return envs, np.stack([env.reset(seed=seed)[0] for seed, env in enumerate(envs)])


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("look up hotel", "look up hotel"),
        ("\n\n  look up hotel \nuser: fine\n", "look up hotel"),
        ('"look up hotel"', "look up hotel"),
        ("> `look up hotel`", "look up hotel"),
        ("Assistant: look up hotel", "look up hotel"),
        ("<think>a hotel?\nyes</think>\nlook up hotel", "look up hotel"),
        ("<think>never done", ""),
        ("```\nlook up hotel\n```", "look up hotel"),
        ("answering machine", "answering machine"),
        ("", ""),
    ],
)
def test_the_first_line_is_what_is_said(reply: str, said: str) -> None:
    assert first_line(reply) == said


def test_rules_and_examples_come_first_and_take_turns() -> None:
    (env, *_), _ = rows(1, level="easy", split="test")
    player = HFPlayer("tiny", shots=2, instructions=None)
    player.instructions = None  # as for a model that reads prose
    messages, start = player.messages(env)
    assert section(type(env.game), "Action").replace("``", "`") in messages[0]["content"]
    assert [message["role"] for message in messages] == [
        "system",
        *["user", "assistant"] * (len(messages) // 2 - 1),
        "user",
    ]
    assert start == len(messages)
    assert messages[-1]["content"].endswith(env.transcript[0][1])
    shown = "\n".join(message["content"] for message in messages[1:])
    assert shown.count("A new episode begins.") == 2 and "book" in shown
    env.step("what area would you like")
    more, again = player.messages(env)
    assert more[: len(messages)] == messages and again == start and len(more) == len(messages) + 2
    train: Any = gym.make(ID, as_text=True, level="easy", split="train").unwrapped
    train.reset(seed=0)
    assert messages[1]["content"] == train.transcript[0][1]


def test_examples_that_do_not_fit_are_left_out_and_told() -> None:
    envs, observations = rows(1)
    player = HFPlayer("tiny", shots=5, limit=300, max_tokens=20)
    with pytest.warns(RuntimeWarning, match="has room for 1 of 5 examples"):
        player.act(envs, observations)
    assert player.usage.prompt_tokens <= 280


def test_hf_player_says_what_its_model_says_and_counts(small_model: str) -> None:
    envs, observations = rows(3)
    speaker = load_speaker("tiny")
    player = HFPlayer(speaker, max_tokens=16)
    said = player.act(envs, observations)
    read = written = 0
    for env, own in zip(envs, said, strict=True):
        request = Request(speaker.layout.encode([{"role": "user", "content": env.transcript[0][1]}]), 16)
        speaker.decoder(1).run([request])
        assert own == first_line(request.text)
        read, written = read + len(request.context), written + len(request.ids)
    assert player.usage == Usage(replies=3, prompt_tokens=read, completion_tokens=written)
    shipped_tokenizer().save_pretrained(small_model)
    assert HFPlayer(small_model).instructions == ""  # a folder that agents.export wrote knows no prose either


def test_hf_player_keeps_weights_in_the_type_that_it_computes_in() -> None:
    envs, observations = rows(2)
    player = HFPlayer("tiny", max_tokens=8, dtype="bfloat16")
    assert {each.dtype for each in player.speaker.backbone.parameters()} == {torch.bfloat16}
    assert player.act(envs, observations) == HFPlayer("tiny", max_tokens=8).act(envs, observations)


def test_hf_player_repeats_with_the_seed_of_the_evaluation() -> None:
    player = HFPlayer("tiny", temperature=1.0, max_tokens=16)
    runs = [evaluate(player, ID, 4, level="easy", seed=seed, max_turns=3, keep=4) for seed in (0, 0, 1)]
    assert runs[0].transcripts == runs[1].transcripts != runs[2].transcripts
    assert runs[0].usage is not None and runs[0].usage == runs[1].usage
    assert Evaluation.from_json(runs[0].to_json()).usage == runs[0].usage


def test_eval_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "result.json"
    command = ["eval", "hf:tiny", ID, "--level", "easy", "--episodes", "3", "--shots", "1", "--json", str(file)]
    command += ["--device", "cpu", "--dtype", "float32"]
    assert main(command) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    usage = json.loads(file.read_text())["usage"]
    assert "hf:tiny" in shown and f"{usage['prompt_tokens']:,} tokens read" in shown and "cost" not in shown
    assert main(["watch", "hf:tiny", ID, "--level", "easy"]) == 0
    assert "tokens read" in capsys.readouterr().out
    for words, message in (
        (["hf:tinny", "--shots", "1"], "did you mean 'tiny'?"),
        (["hf:tiny", "--timeout", "1"], "--timeout is not for the player"),
        (["random", "--shots", "1"], "--shots is not for the player"),
        (["expert", "--device", "cpu"], "--device is not for the player"),
        (["random", "--dtype", "bfloat16"], "--dtype is not for the player"),
        (["hf:tiny", "--dtype", "half"], "dtype must be one of"),
        (["openai:http://localhost:1#m", "--device", "cpu"], "--device is not for the player"),
        (["hf:tiny", "--device", "gpu"], "no device 'gpu' here: give 'auto', 'cpu', 'cuda'"),
        (["openai:127.0.0.1:1"], "url must be"),
    ):
        assert main(["eval", words[0], ID, *words[1:]]) == 2
        assert message in capsys.readouterr().err


# --- a real server ---


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The address of ``agents serve tiny`` in its own process."""
    command = [sys.executable, "-m", "agents", "serve", "tiny", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[4].rstrip(";")
        process.terminate()


def test_a_served_model_plays_as_the_same_model_here(served: str) -> None:
    here = evaluate(HFPlayer("tiny", max_tokens=16), ID, 4, level="easy", max_turns=4, keep=4)
    with OpenAIPlayer(served, "tiny", instructions="", max_tokens=16, input_price=1.0, output_price=10.0) as player:
        there = evaluate(player, ID, 4, level="easy", max_turns=4, keep=4)
    assert there.transcripts == here.transcripts
    assert here.usage is not None and there.usage is not None
    # The model here stops at the first line, the served one at the end token.
    assert there.usage["prompt_tokens"] == here.usage["prompt_tokens"]
    assert there.usage["completion_tokens"] >= here.usage["completion_tokens"]
    cost = (there.usage["prompt_tokens"] + 10 * there.usage["completion_tokens"]) / 1e6
    assert there.usage["cost"] == pytest.approx(cost)


def test_a_served_model_from_the_command_line(served: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--level", "easy", "--episodes", "2", "--max-tokens", "12", "--input-price", "2", "--env", "max_turns=2"]
    assert main(["eval", f"openai:{served}#tiny", ID, *words]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "openai:tiny" in shown and "tokens read" in shown and ", cost 0.0" in shown
    assert main(["eval", f"openai:{served}#gpt-9", ID, *words]) == 2
    assert "no model 'gpt-9': it has tiny" in capsys.readouterr().err


def test_the_only_model_need_not_be_named(served: str) -> None:
    envs, observations = rows(1)
    with OpenAIPlayer(served, instructions="", max_tokens=8) as player:
        player.act(envs, observations)
        assert player.model == "tiny"


# --- a server that fails ---


Answer = Callable[[Any], None]


def completion(text: Any = "fine", **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}], **more}).encode()


class Faulty:
    """Answers one request after another as ``script`` says, and the last of it for ever."""

    def __init__(self) -> None:
        self.script: list[tuple[int, bytes, dict[str, str]] | str] = []
        self.seen: list[tuple[float, Any, str | None]] = []
        self.now = self.most = 0
        self.lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    outer.seen.append((time.monotonic(), body, self.headers.get("Authorization")))
                    outer.now += 1
                    outer.most = max(outer.most, outer.now)
                    step = outer.script.pop(0) if len(outer.script) > 1 else outer.script[0]
                if step == "hang":
                    time.sleep(1.5)
                elif step == "drop":
                    self.close_connection = True
                else:
                    time.sleep(0.05)
                    status, payload, headers = step  # type: ignore[misc]
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(payload))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(payload)
                with outer.lock:
                    outer.now -= 1

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            request_queue_size = 64

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def faulty() -> Iterator[Faulty]:
    server = Faulty()
    yield server
    server.server.shutdown()
    server.server.server_close()


def player(url: str, **keywords: Any) -> OpenAIPlayer:
    return OpenAIPlayer(url, "m", instructions="", **{"pause": 0.01, "retries": 3, "timeout": 0.5, **keywords})


OK = (200, completion(usage={"prompt_tokens": 7, "completion_tokens": 2}), {})


@pytest.mark.parametrize(
    "fault",
    [
        (429, b'{"error": {"message": "slow down"}}', {}),
        (500, b"oh no", {}),
        (503, b"", {}),
        (200, b"<html>garbage", {}),
        (200, b'{"choices": []}', {}),
        (200, b"[1, 2]", {}),
        (200, b"\xff\xfe\x00", {}),
        "hang",
    ],
    ids=str,
)
def test_what_passes_is_tried_again(faulty: Faulty, fault: Any) -> None:
    faulty.script = [fault, fault, OK]
    envs, observations = rows(1)
    with player(faulty.url) as own:
        assert own.act(envs, observations) == ["fine"]
        assert own.usage == Usage(replies=1, prompt_tokens=7, completion_tokens=2, retries=2)
    assert faulty.seen[0][1]["messages"] == [{"role": "user", "content": envs[0].transcript[0][1]}]


def test_a_connection_lost_later_is_tried_again(faulty: Faulty) -> None:
    faulty.script = [OK, "drop", OK]
    envs, observations = rows(1)
    with player(faulty.url) as own:
        own.act(envs, observations)
        assert own.act(envs, observations) == ["fine"]


def test_the_pause_that_the_server_asks_for_is_kept(faulty: Faulty) -> None:
    faulty.script = [(429, b"{}", {"Retry-After": "0.4"}), OK]
    envs, observations = rows(1)
    with player(faulty.url) as own:
        own.act(envs, observations)
    assert faulty.seen[1][0] - faulty.seen[0][0] >= 0.4


@pytest.mark.parametrize(
    ("fault", "message", "tries"),
    [
        ((429, b'{"error": {"message": "slow down"}}', {}), r"is busy \(429\): slow down \(after 4 tries\)", 4),
        ((429, b'{"error": {"code": "insufficient_quota"}}', {}), "account is used up", 1),
        ((500, b"oh no", {}), r"fails \(500\): oh no", 4),
        ((200, b"<html>garbage", {}), "no JSON object: <html>garbage", 4),
        ((200, b'{"hello": 1}', {}), "no chat completion", 4),
        ((401, b'{"error": {"message": "bad key sk-secret"}}', {}), r"OPENAI_API_KEY, which is set: bad key \*\*\*", 1),
        ((404, b"{}", {}), "no model 'm'", 1),
        ((400, b'{"error": "too long"}', {}), r"refuses the request \(400\): too long", 1),
        ("hang", "did not answer within 0.5 s", 4),
        ("drop", "cannot be reached", 1),
    ],
    ids=str,
)
def test_what_stays_is_told(
    faulty: Faulty, monkeypatch: pytest.MonkeyPatch, fault: Any, message: str, tries: int
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    faulty.script = [fault]
    envs, observations = rows(1)
    with player(faulty.url) as own, pytest.raises(ServerError, match=message) as told:
        own.act(envs, observations)
    assert len(faulty.seen) == tries
    assert faulty.seen[0][2] == "Bearer sk-secret"
    assert "sk-secret" not in str(told.value) + repr(own) + repr(vars(own))


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert main(["eval", "openai:http://127.0.0.1:9/v1#m", ID, "--episodes", "2"]) == 2
    shown = capsys.readouterr().err
    assert "cannot be reached" in shown and "is the server running?" in shown and shown.count("\n") == 1
    assert time.monotonic() - began < 30


def test_no_more_requests_than_asked_are_under_way_and_the_first_error_ends_all(faulty: Faulty) -> None:
    envs, observations = rows(12)
    faulty.script = [OK]
    with player(faulty.url, concurrency=3, timeout=5) as own:
        assert own.act(envs, observations) == ["fine"] * 12
    assert faulty.most == 3
    faulty.script, faulty.seen = [(400, b"no", {})], []
    with player(faulty.url, concurrency=3) as own, pytest.raises(ServerError):
        own.act(envs, observations)
    assert len(faulty.seen) < 12


def test_a_server_without_account_and_one_that_says_nothing(faulty: Faulty) -> None:
    faulty.script = [(200, completion("fine"), {}), (200, completion(None), {})]
    envs, observations = rows(1)
    with player(faulty.url) as own:
        assert own.act(envs, observations) == ["fine"]
        assert own.act(envs, observations) == [""]
        assert own.usage.unmetered == 2 and "without an account" in str(own.usage)


def test_seeds_are_sent_where_replies_are_drawn(faulty: Faulty) -> None:
    faulty.script = [OK]
    envs, observations = rows(2)
    with player(faulty.url, temperature=1.0, seed=40, parameters={"top_p": 0.9}) as own:
        own.act(envs, observations)
        own.act(envs, observations)
    assert sorted(body["seed"] for _, body, _ in faulty.seen) == [40, 41, 42, 43]
    assert all(body["top_p"] == 0.9 and body["temperature"] == 1.0 for _, body, _ in faulty.seen)


def test_names_of_prompted_players() -> None:
    own: Any = prompted_player("openai:https://example.org/v1#some/model", shots=1)
    assert (own.url, own.model, own.shots) == ("https://example.org/v1", "some/model", 1)
    own.close()
    for spec in ("hf:", "openai:", "tiny"):
        with pytest.raises(ValueError, match="hf:MODEL or openai:URL#MODEL"):
            prompted_player(spec)
