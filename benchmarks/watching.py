"""What a policy thought: the probability or Q-value of each token or choice, beside the strongest others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.players import Player, PolicyPlayer
from textenvs.env import TextEnv
from textenvs.tokens.spaces import TokenSpace

_OTHERS = 3
_ABSENT = -1e7  # below this a value stands for an action that is not there
_END = "<end>"


class Step(NamedTuple):
    """One action of a watched episode: the turn that it belongs to, what was seen and what was done."""

    turn: int
    observation: NDArray[np.int32]
    action: Any


class WatchedPlayer:
    """Plays as ``player`` does, and notes the steps of a policy in the first ``episodes`` episodes of an evaluation.

    ``agents.evaluate`` begins its episodes in order, one in each environment, so the first environments of the first
    call play the first episodes.
    """

    def __init__(self, player: Player, episodes: int) -> None:
        self.player = player
        self.name, self.action_level = player.name, player.action_level
        self.env_kwargs: dict[str, Any] = getattr(player, "env_kwargs", {})
        self.steps: list[list[Step]] = [[] for _ in range(episodes)]
        self._episode_of: dict[int, int] | None = None if isinstance(player, PolicyPlayer) else {}

    def act(self, envs: Sequence[TextEnv], observations: np.ndarray) -> Sequence[Any]:
        """The player's actions."""
        actions = self.player.act(envs, observations)
        if self._episode_of is None:
            self._episode_of = {id(env): episode for episode, env in enumerate(envs[: len(self.steps)])}
        for env, observation, action in zip(envs, observations, actions, strict=True):
            episode = self._episode_of.get(id(env))
            if episode is None:
                continue
            turn = len(env.transcript) // 2
            if self.steps[episode] and turn == 0 and not env.writing:
                del self._episode_of[id(env)]  # the row has gone on to another episode
            else:
                self.steps[episode].append(Step(turn, observation.copy(), action))
        return actions

    def thoughts(self, episode: int) -> dict[str, Any] | None:
        """What the policy thought in a watched episode, as JSON-able data; ``None`` for a player without a policy.

        ``measure`` is ``"log-probability"`` or ``"Q-value"``; ``turns`` holds for each turn the pieces of what was
        said, each ``[text, value, [[other text, its value], ...]]``, the others being the strongest ones.
        """
        if not self.steps[episode]:
            return None
        policy = cast("PolicyPlayer", self.player).policy
        tokenizer = self.env_kwargs["tokenizer"]
        turns: list[list[Any]] = []
        measure = ""
        for step in self.steps[episode]:
            while len(turns) <= step.turn:
                turns.append([])
            found = _explain(policy, step, tokenizer, not turns[step.turn])
            if found is None:
                return None
            measure, pieces = found
            turns[step.turn] += pieces
        return {"measure": measure, "turns": turns}


@torch.no_grad()
def _explain(policy: Any, step: Step, tokenizer: Any, first: bool) -> tuple[str, list[Any]] | None:
    space: TokenSpace = policy.observation_space
    observation = torch.as_tensor(step.observation[None], device=policy.device)
    if np.ndim(step.action):
        reader = getattr(policy, "reader", None)
        if reader is None:
            return None
        return "log-probability", _utterance(reader, observation, step.action, tokenizer)
    found = _values(policy, observation)
    if found is None:
        return None
    measure, values = found
    if space.max_choices:
        candidates = space.choices(step.observation).tolist()
        texts = [tokenizer.decode([i for i in ids if i != space.pad_id]) for ids in candidates]
        return measure, [_piece(values, int(step.action), lambda action: texts[action])]
    return measure, [_piece(values, int(step.action), partial(_text, tokenizer, first=first))]


def _values(policy: Any, observation: Tensor) -> tuple[str, Tensor] | None:
    """The measure and ``(actions,)`` values of one observation, for any policy that can tell them."""
    if callable(getattr(policy, "log_probs", None)):
        return "log-probability", policy.log_probs(observation)[0]
    if hasattr(policy, "q_net"):
        return "Q-value", policy.q_net(observation)[0]
    if hasattr(policy, "quantile_net"):
        return "Q-value", policy.quantile_net(observation)[0].mean(dim=0)
    distribution = getattr(policy.get_distribution(observation), "distribution", None)
    if not isinstance(distribution, torch.distributions.Categorical):
        return None
    return "log-probability", distribution.logits[0]


def _utterance(reader: Any, observation: Tensor, action: Any, tokenizer: Any) -> list[Any]:
    """The pieces of a whole utterance, from one pass over it."""
    spoken = torch.as_tensor(np.asarray(action)[None], device=observation.device).long()
    batch = reader.single(observation, spoken)
    hidden = reader.backbone(batch.ids)[0, int(batch.position[0]) :]  # (tokens from the context's end, hidden)
    pieces = []
    for place, token in enumerate(spoken[0].tolist()):
        if token == reader.space.pad_id:
            break
        values = reader.token_logits(hidden[place]).log_softmax(dim=-1)
        pieces.append(_piece(values, token, partial(_text, tokenizer, first=place == 0)))
        if token == reader.space.end_id:
            break
    return pieces


def _piece(values: Tensor, action: int, text: Any) -> list[Any]:
    strongest = values.topk(min(_OTHERS + 1, len(values))).indices.tolist()
    others = [each for each in strongest if each != action and float(values[each]) > _ABSENT][:_OTHERS]
    return [text(action), _short(values[action]), [[text(each), _short(values[each])] for each in others]]


def _text(tokenizer: Any, token: int, first: bool) -> str:
    return _END if token == tokenizer.end_id else tokenizer.piece(token, first)


def _short(value: Tensor) -> float:
    return round(float(value), 3)
