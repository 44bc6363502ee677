"""A model behind an OpenAI-compatible address as a prompted player."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

import httpx2
import numpy as np

from agents.players.prompted import Messages, PromptedPlayer

_RETRIED = (408, 409, 425, 429, 500, 502, 503, 504)
_LONGEST_PAUSE = 60.0  # seconds
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class ServerError(OSError):
    """A server could not be reached, refused a request or answered what cannot be read."""


class OpenAIPlayer(PromptedPlayer):
    """A chat model served at an OpenAI-compatible address (``agents serve``, vLLM, llama.cpp, Ollama, a provider).

    Requests of all environments are under way together, ``concurrency`` at a time. What may pass (429, 5xx, a timeout,
    a lost connection, an answer that cannot be read) is tried again after a random pause of up to
    ``pause * 2**attempt`` seconds ("full jitter"), or the time that the server asks for; what will not pass is an error
    at once.

    Args:
        url: such as ``"http://127.0.0.1:8000/v1"``; without a path ``/v1`` is meant.
        model: its name there; ``None`` takes the only one that the server has.
        shots: episodes of the expert that are shown first.
        instructions: what the model is told first; ``None`` takes the game's own page, ``""`` nothing.
        temperature: of the sampling.
        max_tokens: the most tokens of a reply; one that thinks first needs many.
        input_price: of a million tokens read, in whatever unit.
        output_price: of a million tokens written.
        concurrency: the most requests under way.
        timeout: seconds to wait for an answer.
        retries: how often a request is sent again.
        pause: seconds; see above.
        api_key_env: the environment variable that holds the API key; it need not be set. The key is sent and shown
            nowhere else.
        seed: fixes the examples and the pauses; where ``temperature`` is above 0, also sent, with the number of the
            request added.
        parameters: more fields of each request, such as ``{"top_p": 0.9}``.
        name: what reports call it.

    Raises:
        ServerError: from ``act``; the message says what went wrong and how to mend it.
    """

    def __init__(
        self,
        url: str,
        model: str | None = None,
        shots: int = 0,
        instructions: str | None = None,
        temperature: float = 0.0,
        max_tokens: int = 64,
        input_price: float | None = None,
        output_price: float | None = None,
        concurrency: int = 8,
        timeout: float = 120.0,
        retries: int = 5,
        pause: float = 0.5,
        api_key_env: str = "OPENAI_API_KEY",
        seed: int = 0,
        parameters: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"url must be such as http://127.0.0.1:8000/v1, not {url!r}")
        if concurrency < 1 or retries < 0 or timeout <= 0:
            raise ValueError("concurrency must be at least 1, retries at least 0 and timeout above 0")
        self.url = url.rstrip("/") + ("" if parts.path.strip("/") else "/v1")
        self.model = model
        super().__init__(name or f"openai:{model or parts.netloc}", shots, instructions, seed)
        self.usage.input_price, self.usage.output_price = input_price, output_price
        self.concurrency, self.timeout, self.retries, self.pause = concurrency, timeout, retries, pause
        self.api_key_env = api_key_env
        self._fields = {"temperature": temperature, "max_tokens": max_tokens, **(parameters or {})}
        # A proxy of the environment is for what lies outside this machine.
        self._client = httpx2.Client(timeout=timeout, trust_env=parts.hostname not in _LOOPBACK)
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="openai-player")
        self._rng = np.random.default_rng(seed)
        self._lock = threading.Lock()  # of the generator and the account
        self._given_up = threading.Event()
        self._answered = False

    def replies(self, dialogues: Sequence[tuple[Messages, int]]) -> list[str]:
        """The model's replies; the first error ends all requests that have not begun."""
        if self.model is None:
            self.model = self._only_model()
        self._given_up.clear()
        asked = self.usage.replies
        self.usage.replies += len(dialogues)
        futures = [
            self._pool.submit(self._reply, messages, asked + number) for number, (messages, _) in enumerate(dialogues)
        ]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            self._given_up.set()
            for future in futures:
                future.cancel()
            wait(futures, timeout=self.timeout)
            raise

    def close(self) -> None:
        """Close connections and threads."""
        self._given_up.set()
        self._pool.shutdown(cancel_futures=True)
        self._client.close()

    def __enter__(self) -> OpenAIPlayer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"OpenAIPlayer({self.url!r}, {self.model!r})"

    def _reply(self, messages: Messages, number: int) -> str:
        body = {"model": self.model, "messages": messages, **self._fields}
        if self._fields["temperature"] > 0:
            body.setdefault("seed", self.seed + number)
        answer = self._send("POST", "/chat/completions", body)
        return self._read(answer)

    def _only_model(self) -> str:
        names = self._models()
        if len(names) != 1:
            raise ServerError(f"{self.url} has the models {', '.join(names) or 'none'}: name one, as in URL#MODEL")
        return names[0]

    def _models(self) -> list[str]:
        answer = self._send("GET", "/models")
        return [str(row["id"]) for row in answer.get("data", []) if isinstance(row, dict) and "id" in row]

    def _send(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """The JSON object that the server answers with, after as many tries as are allowed."""
        for attempt in range(self.retries + 1):
            wanted = 0.0
            try:
                response = self._client.request(method, self.url + path, json=body, headers=self._headers())
                if response.status_code == 200:
                    answer = _json_object(response)
                    if path == "/models" or _content(answer) is not None:
                        self._answered = True
                        return answer
                    trouble = f"answered with no chat completion: {self._shown(response.text)}"
                else:
                    trouble = self._refusal(response)
                    wanted = _seconds(response.headers.get("retry-after"))
            except httpx2.TimeoutException:
                trouble = f"did not answer within {self.timeout:g} s: give a longer timeout or a lower concurrency"
            except httpx2.TransportError as error:
                trouble = f"cannot be reached ({error}): is the server running?"
                if not self._answered:  # so far nothing speaks for this address
                    raise ServerError(f"{self.url} {trouble}") from None
            except ValueError:
                trouble = f"answered with something that is no JSON object: {self._shown(response.text)}"
            if attempt < self.retries:
                with self._lock:
                    self.usage.retries += 1
                    pause = self._rng.uniform(0, min(_LONGEST_PAUSE, self.pause * 2**attempt))
                if self._given_up.wait(max(pause, min(wanted, _LONGEST_PAUSE))):
                    break
        raise ServerError(f"{self.url} {trouble} (after {attempt + 1} tries)")

    def _refusal(self, response: httpx2.Response) -> str:
        """What a status says, where another try may help.

        Raises:
            ServerError: no other try will help.
        """
        status, told = response.status_code, self._shown(_complaint(response))
        if status in (401, 403):
            state = "which is not set" if not os.environ.get(self.api_key_env) else "which is set"
            raise ServerError(
                f"{self.url} refuses access ({status}): the key is read from {self.api_key_env}, {state}: {told}"
            )
        if status == 404 and response.request.method == "POST":
            try:
                names = self._models()
            except ServerError:
                names = []
            known = f"it has {', '.join(names)}" if names else "is the address right? it should end with /v1"
            raise ServerError(f"{self.url} has no model {self.model!r}: {known}")
        if status == 429 and "insufficient_quota" in response.text:
            raise ServerError(f"{self.url} says that the account is used up: {told}")
        if status not in _RETRIED:
            raise ServerError(f"{self.url} refuses the request ({status}): {told}")
        return f"is busy (429): {told}" if status == 429 else f"fails ({status}): {told}"

    def _read(self, answer: dict[str, Any]) -> str:
        usage = answer.get("usage") or {}
        read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
        with self._lock:
            if isinstance(read, int) and isinstance(written, int):
                self.usage.prompt_tokens += read
                self.usage.completion_tokens += written
            else:
                self.usage.unmetered += 1
        return str(_content(answer))

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.api_key_env)
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _shown(self, text: str) -> str:
        """A server's text for a message: short, on one line, and without the key, should the server repeat it."""
        key = os.environ.get(self.api_key_env)
        text = " ".join((text.replace(key, "***") if key else text).split())
        return f"{text[:200]} ..." if len(text) > 200 else text or "(nothing)"


def _json_object(response: httpx2.Response) -> dict[str, Any]:
    answer = json.loads(response.text)
    if not isinstance(answer, dict):
        raise ValueError("no object")
    return answer


def _content(answer: dict[str, Any]) -> str | None:
    """The text of a chat completion, or ``None`` where it is none."""
    try:
        message = answer["choices"][0]["message"]
        content = message["content"]
    except (KeyError, IndexError, TypeError):
        return None
    if content is None:  # all tokens went into thinking, or into a refusal
        return ""
    return content if isinstance(content, str) else None


def _complaint(response: httpx2.Response) -> str:
    """The server's own words on an error."""
    try:
        error = json.loads(response.text)["error"]
        return str(error["message"] if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return response.text


def _seconds(header: str | None) -> float:
    try:
        return max(0.0, float(header or 0))
    except ValueError:  # a date
        return 0.0
