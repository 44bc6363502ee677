"""The served model answers as OpenAI's API says, many at once, and ends cleanly."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
import torch

from agents.speaking import Layout, Request, load_speaker
from agents.speaking.server import Engine, Server

MESSAGES = [{"role": "user", "content": "user: i am looking for a hotel, in the south, a cheap place"}]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    server = Server(load_speaker("tiny"), port=0, rows=4, limit=300)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.close()
    thread.join(timeout=10)
    assert not thread.is_alive() and not server.service.engine._thread.is_alive()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=60, trust_env=False) as client:
        yield client


def ask(client: httpx2.Client, **fields: Any) -> dict[str, Any]:
    body = {"model": "tiny", "messages": MESSAGES, "max_tokens": 12, "temperature": 0, **fields}
    response = client.post("chat/completions", json=body)
    assert response.status_code == 200, response.text
    return response.json()


def events(client: httpx2.Client, **fields: Any) -> list[Any]:
    """The streamed chunks, without the last, ``[DONE]``."""
    body = {"messages": MESSAGES, "max_tokens": 12, "temperature": 0, "stream": True, **fields}
    with client.stream("POST", "chat/completions", json=body) as response:
        assert response.headers["content-type"] == "text/event-stream"
        lines = [line for line in response.iter_lines() if line]
    assert all(line.startswith("data: ") for line in lines) and lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_models(client: httpx2.Client) -> None:
    answer = client.get("models").json()
    assert [row["id"] for row in answer["data"]] == ["tiny"] and answer["object"] == "list"
    assert client.get("models/tiny").json() == answer["data"][0]
    missing = client.get("models/gpt%2F9")
    assert missing.status_code == 404 and missing.json()["error"]["code"] == "model_not_found"
    assert "no model 'gpt/9'" in missing.json()["error"]["message"]


def test_a_reply_is_the_models_with_its_account(client: httpx2.Client, server: Server) -> None:
    speaker = server.service.speaker
    request = Request(speaker.layout.encode(MESSAGES), 12)
    speaker.decoder(1).run([request])
    answer = ask(client)
    choice = answer["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": request.text, "refusal": None}
    assert choice["finish_reason"] == request.finish and choice["logprobs"] is None
    counts = len(request.context), len(request.ids)
    assert answer["usage"] == dict(
        zip(("prompt_tokens", "completion_tokens", "total_tokens"), (*counts, sum(counts)), strict=True)
    )
    assert ask(client, max_tokens=2)["choices"][0]["finish_reason"] == "length"
    assert ask(client, max_tokens=None, max_completion_tokens=2)["usage"]["completion_tokens"] == 2


def test_a_stream_is_the_same_reply_in_pieces(client: httpx2.Client) -> None:
    whole = ask(client, logprobs=True, top_logprobs=2)
    chunks = events(client, logprobs=True, top_logprobs=2, stream_options={"include_usage": True})
    assert len({chunk["id"] for chunk in chunks}) == 1 and chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    deltas = [chunk["choices"][0] for chunk in chunks[:-1]]
    assert deltas[0]["delta"]["role"] == "assistant"
    assert "".join(each["delta"].get("content", "") for each in deltas) == whole["choices"][0]["message"]["content"]
    finishes = [each["finish_reason"] for each in deltas if each["finish_reason"]]
    assert finishes == [whole["choices"][0]["finish_reason"]]
    told = [row for each in deltas if each["logprobs"] for row in each["logprobs"]["content"]]
    assert told == whole["choices"][0]["logprobs"]["content"] and len(told) == whole["usage"]["completion_tokens"]


def test_log_probabilities(client: httpx2.Client, server: Server) -> None:
    speaker = server.service.speaker
    rows = ask(client, logprobs=True, top_logprobs=3)["choices"][0]["logprobs"]["content"]
    with torch.no_grad():
        logits = speaker.backbone.logits(speaker.backbone(torch.tensor([speaker.layout.encode(MESSAGES)]))[0, -1])
    logits[[*speaker.tokenizer.special_ids]] = -torch.inf
    best = logits.log_softmax(0).topk(3)
    assert [each["logprob"] for each in rows[0]["top_logprobs"]] == pytest.approx(best.values.tolist(), abs=1e-4)
    assert rows[0]["token"] == speaker.tokenizer.decode([int(best.indices[0])])
    assert bytes(rows[0]["bytes"]).decode() == rows[0]["token"]


def test_seed_temperature_choices_and_stop(client: httpx2.Client) -> None:
    def said(**fields: Any) -> list[str]:
        return [choice["message"]["content"] for choice in ask(client, temperature=1.5, **fields)["choices"]]

    assert said(seed=7, n=2) == said(seed=7, n=2)
    assert len(set(said(seed=7, n=6))) > 1
    assert said(seed=7)[0] == said(seed=7, n=2)[0]
    greedy = ask(client)["choices"][0]["message"]["content"]
    stop = greedy[5:8]
    stopped = ask(client, stop=[stop])["choices"][0]
    assert stopped["message"]["content"] == greedy[: greedy.index(stop)] and stopped["finish_reason"] == "stop"
    assert said(top_p=0.0, n=2) == [greedy, greedy]


def test_parts_of_text_and_other_roles(client: httpx2.Client) -> None:
    parts = [{"type": "text", "text": "user: i am looking for a hotel, "}]
    parts.append({"type": "text", "text": "in the south, a cheap place"})
    assert ask(client, messages=[{"role": "user", "content": parts}])["choices"] == ask(client)["choices"]
    ask(client, messages=[{"role": "developer", "content": "be brief"}, *MESSAGES])
    reply = {"role": "assistant", "content": "so", "refusal": None, "tool_calls": None, "annotations": []}
    ask(client, messages=[*MESSAGES, reply, *MESSAGES])


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model": "gpt-9"}, 404, "there is no model 'gpt-9'"),
        ({"messages": []}, 400, "messages must be a list"),
        ({"messages": [{"role": "robot", "content": ""}]}, 400, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 3}]}, 400, "messages[0].content"),
        ({"messages": [*MESSAGES, {"role": "assistant", "content": "so"}]}, 400, "last message"),
        ({"messages": [{**MESSAGES[0], "tool_calls": [{"id": "a"}]}]}, 400, "messages[0].tool_calls is not supported"),
        ({"messages": [{**MESSAGES[0], "name": "ann"}]}, 400, "messages[0].name is not supported"),
        ({"messages": [{"role": "user", "content": "word " * 400}]}, 400, "room for 300"),
        ({"max_tokens": 299}, 400, "room for 300"),
        ({"max_tokens": 0}, 400, "max_tokens"),
        ({"temperature": "hot"}, 400, "temperature"),
        ({"temperature": -1}, 400, "temperature"),
        ({"n": 1000}, 400, "n must be"),
        ({"stop": ["a"] * 9}, 400, "stop must be"),
        ({"stop": [""]}, 400, "stop must be"),
        ({"logprobs": 5}, 400, "logprobs must be"),
        ({"top_logprobs": 2}, 400, "needs logprobs"),
        ({"tools": [{"type": "function"}]}, 400, "tools is not supported"),
        ({"response_format": {"type": "json_object"}}, 400, "response_format"),
        ({"best_of": 2}, 400, "unknown field 'best_of'"),
    ],
)
def test_errors_name_the_field(client: httpx2.Client, fields: dict[str, Any], status: int, message: str) -> None:
    response = client.post("chat/completions", json={"messages": MESSAGES, **fields})
    assert response.status_code == status
    error = response.json()["error"]
    assert message in error["message"] and error["type"] == "invalid_request_error"
    ask(client)  # the connection and the server go on


def test_bodies_that_are_none(client: httpx2.Client) -> None:
    kind = {"content-type": "application/json"}
    for body in (b"", b"no json", b"[1]", b"[" * 100_000, b"\xff", b'{"messages": NaN}'):
        assert client.post("chat/completions", content=body, headers=kind).status_code == 400
    assert client.post("chat/completions", content=b"{}").status_code == 415
    assert client.post("completions", json={}).status_code == 404
    assert client.get("nothing").status_code == 404
    assert client.put("models").status_code == 501
    ask(client)


def test_requests_that_come_together_share_their_steps() -> None:
    speaker = load_speaker("tiny")
    engine = Engine(speaker.decoder(4))
    contexts = [Layout().encode([{"role": "user", "content": f"user: {word}"}]) for word in ("hotel", "train", "food")]
    requests = [Request(context, 10) for context in contexts]
    news = [engine.ask([request]) for request in requests]
    engine.start()
    for queue in news:
        while queue.get(timeout=60)[3] is None:
            pass
    engine.stop()
    assert engine.decoder.steps <= 11
    assert sum(len(request.ids) for request in requests) > 11


def test_many_clients_get_what_one_gets(client: httpx2.Client, server: Server) -> None:
    texts = [f"user: i need a {word}" for word in ("hotel", "train", "restaurant", "cheap hotel", "taxi", "bed")]
    bodies = [{"messages": [{"role": "user", "content": text}]} for text in texts]
    single = [ask(client, **body)["choices"] for body in bodies]
    before = server.service.engine.decoder.steps
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda body: ask(client, **body)["choices"], bodies))
    assert together == single
    assert server.service.engine.decoder.steps - before < sum(  # fewer steps than tokens
        1 + len(Layout().tokenizer.encode(each[0]["message"]["content"])) for each in single
    )


def test_a_client_that_goes_away_makes_room(client: httpx2.Client, server: Server) -> None:
    decoder = server.service.engine.decoder
    decoder.forbidden[decoder.tokenizer.end_id] = True  # replies go on to their last token
    body = {"messages": MESSAGES, "max_tokens": 200, "temperature": 2, "stream": True, "n": 4}
    with client.stream("POST", "chat/completions", json=body) as response:
        next(response.iter_lines())
    before = decoder.steps
    assert ask(client, max_tokens=3)["choices"][0]["finish_reason"] == "length"
    decoder.forbidden[decoder.tokenizer.end_id] = False
    assert decoder.steps - before < 150


def test_a_failing_model_answers_500_and_goes_on(
    client: httpx2.Client, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(hidden: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(server.service.speaker.backbone, "logits", fail)
    response = client.post("chat/completions", json={"messages": MESSAGES})
    assert response.status_code == 500 and "out of memory" in response.json()["error"]["message"]
    assert "error" in client.post("chat/completions", json={"messages": MESSAGES, "stream": True}).text
    monkeypatch.undo()
    ask(client)


def test_a_key_is_asked_for() -> None:
    server = Server(load_speaker("tiny"), port=0, key="right")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        for key, status in (("Bearer right", 200), ("Bearer wrong", 401), ("", 401)):
            headers = {"Authorization": key}
            assert httpx2.get(f"{server.url}/models", headers=headers, trust_env=False).status_code == status
    finally:
        server.shutdown()
        server.close()
        thread.join(timeout=10)


def test_an_address_of_the_sixth_version() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    server = Server(load_speaker("tiny"), "::1", port=0)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        assert server.url.startswith("http://[::1]:")
        assert httpx2.get(f"{server.url}/models", trust_env=False).status_code == 200
    finally:
        server.shutdown()
        server.close()
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("host", "port", "option"), [("127.0.0.1", None, "another --port"), ("nowhere.invalid", 0, "another --host")]
)
def test_an_address_that_cannot_be_had(server: Server, host: str, port: int | None, option: str) -> None:
    taken = server.server_address[1] if port is None else port
    with pytest.raises(OSError, match=option):
        Server(server.service.speaker, host, taken)


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_and_stops(sign: signal.Signals) -> None:
    command = [sys.executable, "-m", "agents", "serve", "tiny", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = process.stdout.readline()
            assert told.startswith("tiny is served at http://127.0.0.1:")
            url = told.split()[4].rstrip(";")
            with httpx2.Client(base_url=url, timeout=60, trust_env=False) as client:
                ask(client)
                process.send_signal(sign)
                shown, errors = process.communicate(timeout=60)
        finally:
            process.kill()  # else a server that does not stop would be waited for
    assert process.returncode == 0 and shown == "stopped\n" and errors == ""


def test_a_taken_port_is_an_error_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    from agents.cli import main

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "tiny", "--port", str(taken.getsockname()[1])]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and "give another --port" in shown
