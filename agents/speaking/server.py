"""``agents serve``: a language model behind an OpenAI-compatible address.

``GET /v1/models``, ``GET /v1/models/NAME`` and ``POST /v1/chat/completions`` (also streamed), after OpenAI's API
reference for chat completions.
What this server cannot do (tools, images, penalties) is refused, never ignored.
"""

from __future__ import annotations

import errno
import hmac
import json
import math
import queue
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from agents.speaking.decoder import Decoder, Request
from agents.speaking.layout import ROLES
from agents.speaking.speaker import Speaker

_MAX_BODY = 8 << 20  # bytes
_MAX_CHOICES = 16
_MAX_TOP_LOGPROBS = 20
_MAX_STOPS = 4
_DEFAULT_TOKENS = 256
_IDLE = 60.0  # seconds after which a silent connection is closed
_KNOWN = {
    *("model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "n", "seed", "stop"),
    *("stream", "stream_options", "logprobs", "top_logprobs", "user", "metadata", "store", "service_tier"),
}
# What is refused unless it asks for nothing.
_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
    "logit_bias": (None, {}),
    "response_format": (None, {"type": "text"}),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none", "auto"),
    "parallel_tool_calls": (None, True, False),
    "modalities": (None, ["text"]),
}


class BadRequest(ValueError):
    """A request that cannot be answered.

    Args:
        message: what is wrong.
        status: of HTTP.
        code: OpenAI's word for it, where there is one.
    """

    def __init__(self, message: str, status: int = 400, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Engine:
    """One thread that decodes the requests of all connections together: each joins at the next token.

    Args:
        decoder: what it decodes with.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self._inbox: queue.SimpleQueue[tuple[Request, queue.SimpleQueue[Any]] | None] = queue.SimpleQueue()
        self._sinks: dict[Request, queue.SimpleQueue[Any]] = {}
        self._waiting: list[Request] = []
        self._thread = threading.Thread(target=self._run, name="decoder", daemon=True)

    def start(self) -> None:
        """Begin to decode."""
        self._thread.start()

    def stop(self) -> None:
        """End, with the token in progress."""
        self._inbox.put(None)
        self._thread.join(timeout=30)

    def ask(self, requests: list[Request]) -> queue.SimpleQueue[Any]:
        """Have requests answered; the queue gets each of them after every token, or the error that ended it all."""
        news: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for request in requests:
            self._inbox.put((request, news))
        return news

    def _run(self) -> None:
        while True:
            idle = not self._sinks
            while idle or not self._inbox.empty():
                item = self._inbox.get()
                if item is None:
                    self._fail(RuntimeError("the server stops"))
                    return
                self._sinks[item[0]] = item[1]
                self._waiting.append(item[0])
                idle = False
            try:
                for request in [each for each in self._waiting if each.finish is not None]:  # cancelled
                    self._waiting.remove(request)
                while self._waiting and self.decoder.free:
                    self.decoder.admit(self._waiting.pop(0))
                for request in self.decoder.step():
                    self._sinks[request].put((request, len(request.ids), request.text, request.finish))
            except Exception as error:  # the server outlives one bad batch
                self._fail(error)
            self._sinks = {each: news for each, news in self._sinks.items() if each.finish is None}

    def _fail(self, error: Exception) -> None:
        """Answer all that is asked with an error."""
        for news in {id(news): news for news in self._sinks.values()}.values():
            news.put(error)
        self.decoder.active = [None] * self.decoder.rows
        self._waiting.clear()
        self._sinks.clear()


@dataclass
class Service:
    """What the connections share.

    Attributes:
        speaker: the model.
        engine: decodes.
        key: the API key that requests must bring, or ``None`` for none.
    """

    speaker: Speaker
    engine: Engine
    key: str | None = None


class Server(ThreadingHTTPServer):
    """An OpenAI-compatible server; ``serve_forever`` runs it and ``close`` ends it.

    Args:
        speaker: the model.
        host, port: where to listen, an address of this machine of either kind (IPv4, IPv6); port 0 takes a free one.
        rows: replies decoded side by side; more requests wait.
        limit: the most tokens of a context and its reply; ``None`` for 2,048 or what the model has.
        key: the API key that requests must bring.

    Raises:
        ValueError: ``rows``, ``limit`` or ``port`` is out of range.
        OSError: the port is taken, or the host is no address of this machine.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(
        self,
        speaker: Speaker,
        host: str = "127.0.0.1",
        port: int = 8000,
        rows: int = 8,
        limit: int | None = None,
        key: str | None = None,
    ) -> None:
        if rows < 1:
            raise ValueError(f"rows must be at least 1, not {rows!r}")
        if not 0 <= port < 1 << 16:
            raise ValueError(f"port must be from 0 to 65535, not {port!r}")
        self.service = Service(speaker, Engine(speaker.decoder(rows, limit)), key)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            wrong = (
                "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host, an address of this machine"
            )
            told = f"cannot listen on port {port} of {host}: {error.strerror or error}; give another {wrong}"
            raise OSError(told) from error
        self.service.engine.start()

    @property
    def url(self) -> str:
        """The address for clients."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}/v1" if ":" in str(host) else f"http://{host!s}:{port}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that clients drop."""

    def close(self) -> None:
        """Stop listening and decoding."""
        self.server_close()
        self.service.engine.stop()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "textenvs"
    sys_version = ""
    timeout = _IDLE
    disable_nagle_algorithm = True  # a reply is several small packets, and none should wait for the other
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a line a request would bury what matters."""

    def do_GET(self) -> None:
        self._answer(self._models)

    def do_POST(self) -> None:
        self._answer(self._chat)

    def _answer(self, answer: Any) -> None:
        try:
            body = self._body()
            self._authorize()
            answer(body)
        except BadRequest as error:
            self._refuse(error)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            self.close_connection = True
        except Exception as error:
            self._refuse(BadRequest(f"the model failed: {type(error).__name__}: {error}", 500))

    def _models(self, _: bytes) -> None:
        path, name = unquote(self.path.partition("?")[0].rstrip("/")), self.server.service.speaker.name
        row = {"id": name, "object": "model", "created": 0, "owned_by": "textenvs"}
        if path == "/v1/models":
            self._send(200, {"object": "list", "data": [row]})
        elif path == f"/v1/models/{name}":
            self._send(200, row)
        elif path.startswith("/v1/models/"):
            raise _no_model(path.removeprefix("/v1/models/"), name)
        else:
            raise BadRequest(f"there is no {self.path}: ask for /v1/models", 404)

    def _chat(self, body: bytes) -> None:
        if self.path.partition("?")[0].rstrip("/") != "/v1/chat/completions":
            raise BadRequest(f"there is no {self.path}: post to /v1/chat/completions", 404)
        # A page in a browser cannot send this type to another address without asking first.
        if self.headers.get_content_type() != "application/json":
            raise BadRequest("the content type must be application/json", 415)
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"the body is no JSON: {error}") from None
        service = self.server.service
        requests = read_request(fields, service.speaker, service.engine.decoder)
        head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": service.speaker.name}
        news = service.engine.ask(requests)
        try:
            if fields.get("stream"):
                usage = bool((fields.get("stream_options") or {}).get("include_usage"))
                self._stream(head, requests, news, usage)
            else:
                for _ in _progress(requests, news):
                    pass
                choices = [
                    {
                        "index": index,
                        "message": {"role": "assistant", "content": request.text, "refusal": None},
                        "logprobs": self._logprobs(request, 0),
                        "finish_reason": request.finish,
                    }
                    for index, request in enumerate(requests)
                ]
                usage_ = _usage(requests)
                self._send(200, {**head, "object": "chat.completion", "choices": choices, "usage": usage_})
        finally:
            for request in requests:
                if request.finish is None:  # nobody waits for it any more
                    request.finish = "cancelled"

    def _stream(self, head: dict[str, Any], requests: list[Request], news: Any, usage: bool) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        head = {**head, "object": "chat.completion.chunk", **({"usage": None} if usage else {})}

        def event(index: int, delta: dict[str, Any], finish: str | None = None, logprobs: Any = None) -> None:
            choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
            self._chunk(json.dumps({**head, "choices": [choice]}))

        for index in range(len(requests)):
            event(index, {"role": "assistant", "content": ""})
        sent = [(0, 0)] * len(requests)  # characters, scores
        try:
            for index, text, finish in _progress(requests, news):
                characters, scores = sent[index]
                logprobs = self._logprobs(requests[index], scores)
                if len(text) > characters or logprobs is not None:
                    event(index, {"content": text[characters:]}, None, logprobs)
                    told = scores + len(logprobs["content"]) if logprobs else scores
                    sent[index] = (max(characters, len(text)), told)
                if finish is not None:
                    event(index, {}, finish)
            if usage:
                self._chunk(json.dumps({**head, "choices": [], "usage": _usage(requests)}))
            self._chunk("[DONE]")
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            raise
        except Exception as error:  # the status is out already
            self._chunk(json.dumps({"error": {"message": str(error), "type": "server_error", "code": None}}))
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, data: str) -> None:
        payload = f"data: {data}\n\n".encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(payload), payload))
        self.wfile.flush()

    def _logprobs(self, request: Request, start: int) -> dict[str, Any] | None:
        """OpenAI's account of the tokens from ``start`` on."""
        if not request.logprobs:
            return None
        piece = self.server.service.speaker.tokenizer.piece

        def one(token: int, logprob: float, first: bool) -> dict[str, Any]:
            text = piece(token, first)
            return {"token": text, "logprob": max(logprob, -9999.0), "bytes": list(text.encode())}

        ids = list(request.ids)
        content = []
        for place in range(start, min(len(ids), len(request.scores))):  # without the end token
            best = [one(token, logprob, not place) for token, logprob in request.alternatives[place]]
            content.append({**one(ids[place], request.scores[place], not place), "top_logprobs": best})
        return {"content": content, "refusal": None}

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self.close_connection = True
            raise BadRequest("send the body with a Content-Length", 411)
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= _MAX_BODY:
            self.close_connection = True
            raise BadRequest(f"the body must have 0 to {_MAX_BODY} bytes", 413)
        return self.rfile.read(length)

    def _authorize(self) -> None:
        key = self.server.service.key
        given = self.headers.get("Authorization", "").removeprefix("Bearer ").strip()
        if key is not None and not hmac.compare_digest(given.encode(), key.encode()):
            raise BadRequest("a valid API key is needed", 401, "invalid_api_key")

    def _refuse(self, error: BadRequest) -> None:
        kind = "server_error" if error.status >= 500 else "invalid_request_error"
        try:
            told = {"message": str(error), "type": kind, "param": None, "code": error.code}
            self._send(error.status, {"error": told})
        except OSError:
            self.close_connection = True

    def _send(self, status: int, answer: dict[str, Any]) -> None:
        payload = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(payload)


def read_request(fields: Any, speaker: Speaker, decoder: Decoder) -> list[Request]:
    """What to decode for the body of a chat completion, a request for each of its ``n`` choices.

    Raises:
        BadRequest: something in it is wrong or cannot be done here; the message names the field.
    """
    if not isinstance(fields, dict):
        raise BadRequest("the body must be a JSON object")
    for name, value in fields.items():
        if name in _NEUTRAL and value not in _NEUTRAL[name]:
            raise BadRequest(f"{name} is not supported here")
        if name not in _KNOWN and name not in _NEUTRAL:
            raise BadRequest(f"unknown field {name!r}")
    if fields.get("model") not in (None, speaker.name):
        raise _no_model(fields["model"], speaker.name)
    context = speaker.layout.encode(_messages(fields.get("messages")))
    temperature = _number(fields, "temperature", 1.0, 0.0, 2.0)
    top_p = _number(fields, "top_p", 1.0, 0.0, 1.0)
    choices = _integer(fields, "n", 1, 1, _MAX_CHOICES)
    seed = _integer(fields, "seed", None, -(1 << 63), (1 << 63) - 1)
    logprobs = _flag(fields, "logprobs")
    _flag(fields, "stream")
    if not isinstance(fields.get("stream_options") or {}, dict):
        raise BadRequest("stream_options must be an object")
    top_logprobs = _integer(fields, "top_logprobs", 0, 0, min(_MAX_TOP_LOGPROBS, speaker.tokenizer.vocab_size))
    if top_logprobs and not logprobs:
        raise BadRequest("top_logprobs needs logprobs: true")
    room = decoder.limit - len(context)
    if room < 1:
        raise BadRequest(
            f"the messages have {len(context)} tokens, the model has room for {decoder.limit} with the reply",
            code="context_length_exceeded",
        )
    asked = next((name for name in ("max_completion_tokens", "max_tokens") if fields.get(name) is not None), None)
    tokens = min(room, _DEFAULT_TOKENS) if asked is None else _integer(fields, asked, None, 1, 1 << 31)
    if tokens > room:
        raise BadRequest(
            f"the messages have {len(context)} tokens and {asked} is {tokens}; the model has room for "
            f"{decoder.limit} together",
            code="context_length_exceeded",
        )
    return [
        Request(
            context,
            max_tokens=tokens,
            temperature=temperature,
            top_p=top_p,
            seed=None if seed is None else (seed + choice) % (1 << 63),
            stop=_stops(fields.get("stop")),
            logprobs=logprobs,
            top_logprobs=top_logprobs,
        )
        for choice in range(choices)
    ]


def _no_model(asked: Any, name: str) -> BadRequest:
    return BadRequest(f"there is no model {asked!r}: this is {name!r}", 404, "model_not_found")


def _progress(requests: list[Request], news: Any) -> Iterator[tuple[int, str, str | None]]:
    """The place, text and finish of each request after every token, until all are done."""
    places = {request: place for place, request in enumerate(requests)}
    unfinished = len(requests)
    while unfinished:
        item = news.get()
        if isinstance(item, Exception):
            raise item
        request, _, text, finish = item
        unfinished -= finish is not None
        yield places[request], text, finish


def _usage(requests: list[Request]) -> dict[str, int]:
    read, written = len(requests[0].context), sum(len(request.ids) for request in requests)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _messages(given: Any) -> list[dict[str, str]]:
    if not isinstance(given, list) or not given:
        raise BadRequest("messages must be a list of at least one message")
    messages = []
    for place, message in enumerate(given):
        where = f"messages[{place}]"
        if not isinstance(message, dict):
            raise BadRequest(f"{where} must be an object")
        for name, value in message.items():
            if name not in ("role", "content") and value not in (None, [], {}):  # replies as SDKs give them back
                raise BadRequest(f"{where}.{name} is not supported here")
        role = "system" if message.get("role") == "developer" else message.get("role")
        if role not in ROLES:
            raise BadRequest(f"{where}.role must be one of {', '.join(ROLES)}, not {role!r}")
        content = message.get("content")
        if isinstance(content, list):
            if not all(isinstance(part, dict) and isinstance(part.get("text"), str) for part in content):
                raise BadRequest(f"{where}.content holds something else than text")
            content = "".join(part["text"] for part in content)
        if not isinstance(content, str):
            raise BadRequest(f"{where}.content must be text")
        messages.append({"role": role, "content": content})
    if messages[-1]["role"] == "assistant":
        raise BadRequest("the last message must not be the assistant's")
    return messages


def _number(fields: dict[str, Any], name: str, default: float, low: float, high: float) -> float:
    value = fields.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high or math.isnan(value):
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}, not {value!r}")
    return float(value)


def _integer(fields: dict[str, Any], name: str, default: int | None, low: int, high: int) -> Any:
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequest(f"{name} must be an integer from {low} to {high}, not {value!r}")
    return value


def _flag(fields: dict[str, Any], name: str) -> bool:
    value = fields.get(name)
    if value not in (None, True, False):
        raise BadRequest(f"{name} must be true or false, not {value!r}")
    return bool(value)


def _stops(given: Any) -> tuple[str, ...]:
    stops = [given] if isinstance(given, str) else given or []
    if not isinstance(stops, list) or len(stops) > _MAX_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise BadRequest(f"stop must be a text or a list of up to {_MAX_STOPS} texts")
    return tuple(stops)
