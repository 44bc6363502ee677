"""Q-networks for Stable-Baselines3's unmodified DQN and sb3-contrib's unmodified QRDQN."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.memory.packed import PackedBatch
from agents.policies.chosen import pick
from agents.policies.masks import MaskedPolicy, states_of
from agents.policies.optimizer import FusedAdam
from agents.policies.reader import MASKED, Candidates, TokenReader, ValueHead


class TokenQNetwork(BasePolicy):
    """Q-values of every token or choice from a language model.

    ``Q(s, a) = V(s) + scale * log p(a | s)`` at token level, where ``p`` is the language model over what is admissible:
    its head is the advantage head, so a pretrained model starts as its own greedy policy (Guo et al. 2022, "Efficient
    (Soft) Q-Learning for Text Generation", sec. 3). At choice level a learned match of context and candidate, 0 at the
    start, is added.

    ``dueling``: ``Q(s, a) = V(s) + A(s, a) - mean_a' A(s, a')`` over the admissible actions (Wang et al. 2016, eq. 9),
    with ``A`` the scaled logits or the scores.

    ``value_rate``: how many times as fast as the rest ``V`` learns, with an optimizer that moves all weights alike, as
    Adam does.

    Several ``heads`` (quantiles, or twin critics) share the model: each has its own ``V`` and moves the hidden state by
    its own linear map before the language model's head, or the scoring, reads it.
    """

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        scale: float = 0.1,
        dueling: bool = False,
        heads: int = 1,
        value_rate: float = 1.0,
        **reader: Any,
    ) -> None:
        super().__init__(observation_space, action_space)
        if not isinstance(action_space, spaces.Discrete):
            raise TypeError(
                f"a Q-network needs Discrete actions, not {action_space}: make the environment with "
                "action_level='token' or 'choice'"
            )
        if heads < 1:
            raise ValueError(f"there must be at least 1 head, not {heads!r}")
        if not value_rate > 0:
            raise ValueError(f"value_rate must be more than 0, not {value_rate!r}: V would never learn")
        self.reader = TokenReader(observation_space, action_space, **reader)
        self.dueling, self.heads, self.value_rate = dueling, heads, value_rate
        width = self.reader.backbone.hidden_size
        self.value = ValueHead(width, heads)
        self.scale = nn.Parameter(torch.tensor(scale))
        if heads > 1:
            self.moves = nn.Linear(width, heads * width)
            # Small, to start as the language model; but heads that start alike would stay alike.
            nn.init.normal_(self.moves.weight, std=0.1 / math.sqrt(width))
            nn.init.zeros_(self.moves.bias)

    def all_heads(self, obs: Tensor | PackedBatch, masks: Tensor | None = None) -> Tensor:
        """Q-values ``(steps, heads, actions)``; arguments as in ``forward``."""
        hidden, candidates, packed_masks = states_of(self.reader, obs)
        return self.heads_of(hidden, candidates, packed_masks if masks is None else masks)

    def heads_of(self, hidden: Tensor, candidates: Candidates | None, masks: Tensor | None) -> Tensor:
        """``all_heads`` of hidden states ``(steps, hidden)``, candidates (choice level) and masks."""
        moved = hidden[:, None]  # (steps, 1, hidden)
        if self.heads > 1:
            moved = moved + self.moves(hidden).unflatten(1, (self.heads, -1))
        if candidates is not None:
            advantages = self.reader.match(moved, candidates) + self.scale * candidates.spoken[:, None]
            allowed = ~candidates.absent[:, None]
        else:
            advantages = self.reader.token_logits(moved)
            allowed = ~self.reader.forbidden[: advantages.shape[2]][None, None]
            if masks is not None:
                allowed = allowed & masks[:, None]
            if self.dueling:
                advantages = self.scale * advantages
            else:
                advantages = self.scale * advantages.masked_fill(~allowed, MASKED).log_softmax(dim=2)
        if self.dueling:
            counts = allowed.sum(dim=2, keepdim=True).clamp(min=1)
            advantages = advantages - advantages.masked_fill(~allowed, 0.0).sum(dim=2, keepdim=True) / counts
        values = self.value_rate * self.value(hidden)[:, :, None]
        return (values + advantages).masked_fill(~allowed, MASKED)

    def forward(self, obs: Tensor | PackedBatch, masks: Tensor | None = None) -> Tensor:
        """Q-values ``(steps, actions)``, the mean over the heads; what is absent or not admissible has -1e8.

        Args:
            obs: plain observations ``(steps, observation size)`` or a packed batch.
            masks: ``(steps, actions)`` bool, what is admissible; ``None`` takes those of the packed batch.
        """
        return self.all_heads(obs, masks).mean(dim=1)

    def _predict(self, observation: Tensor, deterministic: bool = True) -> Tensor:  # type: ignore[override]
        return self(observation).argmax(dim=1)


class TokenQuantileNetwork(TokenQNetwork):
    """Quantiles of the return of every token or choice (Dabney et al. 2018), each a head of ``TokenQNetwork``."""

    def forward(self, obs: Tensor | PackedBatch, masks: Tensor | None = None) -> Tensor:
        """Quantiles ``(steps, quantiles, actions)``; arguments as in ``TokenQNetwork.forward``."""
        return self.all_heads(obs, masks)


class TokenQPolicy(MaskedPolicy):
    """Q-network, target network and exploration.

    Exploration happens here and not in ``DQN.predict``, which knows no absent choices: give ``DQN`` both of its
    ``exploration_*_eps=0``, as ``agents.make`` does.

    Args:
        observation_space: the environment's ``TokenSpace``.
        action_space: ``Discrete``: token or choice level.
        lr_schedule: learning rate by remaining progress; Stable-Baselines3 gives it.
        backbone: what ``agents.load_backbone`` takes; ``kind``, ``lora``, ``dtype`` and ``frozen`` go along with it.
        exploration: ``"epsilon_greedy"`` over what is admissible, or ``"softmax"`` of Q / ``temperature``;
            ``None`` takes epsilon-greedy at choice level and softmax at token level, where a uniform token is noise.
        epsilon: a number, or first and last epsilon and the number of environment steps between them. A model that can
            speak plays far better than at random from the start, so most of what it tries is its own.
        temperature: of the softmax, a number or first, last and the steps between them; the default is 0.3 ``scale``,
            which at token level draws from the language model's probabilities to the power of 3.3, nearly the tokens
            that it likes best. Of tokens that lead to equal returns Q-learning makes equally good ones, so the more of
            them are tried, the less remains of the language.
        scale: what one nat of log-probability is worth as Q at the start.
        value_rate: see ``TokenQNetwork``; ``None`` takes 10 at token level, where all tokens that were tried would make
            up for what is missing in ``V``, and 1 at choice level.
        dueling: whether advantages are held against their mean; see ``TokenQNetwork``.
    """

    q_net: TokenQNetwork
    q_net_target: TokenQNetwork
    steps: Tensor

    _NETWORK: type[TokenQNetwork] = TokenQNetwork
    _NAMES = ("q_net", "q_net_target")

    def __init__(
        self,
        observation_space: spaces.Space,
        action_space: spaces.Space,
        lr_schedule: Schedule,
        backbone: Any = "tiny",
        kind: str = "auto",
        lora: dict[str, Any] | None = None,
        dtype: str | None = None,
        frozen: bool = False,
        exploration: str | None = None,
        epsilon: float | tuple[float, float, int] = (0.3, 0.05, 1000),
        temperature: float | tuple[float, float, int] | None = None,
        scale: float = 0.1,
        dueling: bool = False,
        value_rate: float | None = None,
        optimizer_class: type[torch.optim.Optimizer] = FusedAdam,
        optimizer_kwargs: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(
            observation_space, action_space, optimizer_class=optimizer_class, optimizer_kwargs=optimizer_kwargs
        )
        if exploration not in (None, "epsilon_greedy", "softmax"):
            raise ValueError(f"exploration must be 'epsilon_greedy' or 'softmax', not {exploration!r}")
        self.settings: dict[str, Any] = {"backbone": backbone, "kind": kind, "lora": lora, "dtype": dtype}
        value_rate = default_value_rate(observation_space) if value_rate is None else value_rate
        self.settings.update(frozen=frozen, scale=scale, dueling=dueling, value_rate=value_rate, **more)
        self.exploring: dict[str, Any] = {"exploration": exploration, "epsilon": epsilon, "temperature": temperature}
        network = self._NETWORK(observation_space, action_space, **self.settings)
        for name, net in zip(self._NAMES, (network, target_of(network)), strict=True):
            setattr(self, name, net)
        self.exploration = exploration or ("epsilon_greedy" if network.reader.choice_level else "softmax")
        self.temperature = _schedule("temperature", 0.3 * scale if temperature is None else temperature, math.inf)
        self.epsilon = _schedule("epsilon", epsilon, 1.0)
        if min(self.temperature[:2]) == 0:
            raise ValueError(f"temperature must stay above 0, not go {temperature!r}: give a small one")
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_class(trainable, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

    @property
    def network(self) -> TokenQNetwork:
        """The network that learns."""
        return getattr(self, self._NAMES[0])

    @property
    def reader(self) -> TokenReader:
        """The one of the network that learns."""
        return self.network.reader

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            **self.settings,
            **self.exploring,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def forward(self, obs: Tensor, deterministic: bool = True) -> Tensor:
        """Actions ``(batch,)`` int64."""
        return self._predict(obs, deterministic=deterministic)

    def _predict(self, observation: Tensor, deterministic: bool = True) -> Tensor:  # type: ignore[override]
        q_values = self.network.all_heads(observation, self.admissible(observation)).mean(dim=1)
        if deterministic:
            return q_values.argmax(dim=1)
        self.steps += len(q_values)
        if self.exploration == "softmax":
            return pick(q_values / self.current_temperature())[0]
        explore = torch.rand(len(q_values), device=q_values.device) < self.current_epsilon()
        allowed = q_values > MASKED / 2
        allowed |= ~allowed.any(dim=1, keepdim=True)  # a row that only fills up the batch has no choices
        anything, _ = pick(torch.zeros_like(q_values).masked_fill_(~allowed, MASKED))
        return torch.where(explore, anything, q_values.argmax(dim=1))

    def current_epsilon(self) -> float:
        """Probability of a uniformly drawn admissible action, after the steps taken so far."""
        return _moved(self.epsilon, int(self.steps))

    def current_temperature(self) -> float:
        """Temperature of the softmax, after the steps taken so far."""
        return _moved(self.temperature, int(self.steps))

    def set_training_mode(self, mode: bool) -> None:
        """Put the Q-network in training or evaluation mode; the target network stays in evaluation."""
        self.network.set_training_mode(mode)
        self.training = mode


class TokenQuantilePolicy(TokenQPolicy):
    """``TokenQPolicy`` for sb3-contrib's unmodified QRDQN: a return's quantiles in place of its mean.

    Args:
        n_quantiles: how many.
        keywords: those of ``TokenQPolicy``.
    """

    quantile_net: TokenQuantileNetwork
    quantile_net_target: TokenQuantileNetwork

    _NETWORK = TokenQuantileNetwork
    _NAMES = ("quantile_net", "quantile_net_target")

    def __init__(self, *positional: Any, n_quantiles: int = 16, **keywords: Any) -> None:
        super().__init__(*positional, heads=keywords.pop("heads", n_quantiles), **keywords)
        self.n_quantiles = self.network.heads


def target_of(network: TokenQNetwork) -> TokenQNetwork:
    """A copy that follows ``network`` and does not learn by itself."""
    # A copy even where the model was given as an object: shared weights would be scaled to zero by Polyak averaging.
    target = copy.deepcopy(network).requires_grad_(False)
    target.set_training_mode(False)
    target.reader.cached = False  # it reads unrelated steps of the replay buffer
    return target


def default_value_rate(observation_space: spaces.Space) -> float:
    """``value_rate`` of policies that are given none."""
    return 1.0 if getattr(observation_space, "max_choices", 0) else 10.0


def _schedule(name: str, value: float | Sequence[float], most: float) -> tuple[float, float, int]:
    """A value's way, which for a number is none.

    Raises:
        ValueError: it is neither, or leaves 0 to ``most``.
    """
    way = (value, value, 1) if isinstance(value, int | float) else tuple(value)
    if len(way) != 3 or not all(0 <= each <= most for each in way[:2]) or way[2] < 1:
        bounds = "at least 0" if most == math.inf else f"0 to {most:g}"
        raise ValueError(f"{name} must be a number, or a first, a last and steps between them, {bounds}, not {value!r}")
    return way[0], way[1], int(way[2])


def _moved(schedule: tuple[float, float, int], steps: int) -> float:
    """A value on its way from the first to the last of ``schedule``, after ``steps`` of its steps."""
    first, last, over = schedule
    return first + (last - first) * min(steps / over, 1.0)
