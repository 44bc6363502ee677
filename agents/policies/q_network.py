"""A Q-network for Stable-Baselines3's unmodified DQN."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor, nn

from agents.policies.reader import MASKED, TokenReader


class TokenQNetwork(BasePolicy):
    """Q-values of every token or choice from a language model.

    ``Q(s, a) = V(s) + scale * log p(a | s)`` at token level, where ``p`` is the language model: its head is the
    advantage head, so a pretrained model starts as its own greedy policy (Guo et al. 2022, "Efficient (Soft)
    Q-Learning for Text Generation", sec. 3). At choice level the second term is the candidate's score.
    """

    def __init__(
        self, observation_space: spaces.Space, action_space: spaces.Space, scale: float, **reader: Any
    ) -> None:
        super().__init__(observation_space, action_space)
        if not isinstance(action_space, spaces.Discrete):
            raise TypeError(
                f"a Q-network needs Discrete actions, not {action_space}: make the environment with "
                "action_level='token' or 'choice'"
            )
        self.reader = TokenReader(observation_space, action_space, **reader)
        self.value = nn.Linear(self.reader.backbone.hidden_size, 1)
        nn.init.zeros_(self.value.weight)
        nn.init.zeros_(self.value.bias)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, obs: Tensor) -> Tensor:
        """Q-values ``(batch, actions)`` of observations ``(batch, observation size)``; absent actions have -1e8."""
        hidden = self.reader.last_hidden(obs)
        if self.reader.choice_level:
            advantages = self.reader.choice_scores(hidden, self.reader.choices(obs))
        else:
            log_probs = self.reader.token_logits(hidden).log_softmax(dim=1)
            advantages = (self.scale * log_probs).masked_fill(self.reader.forbidden[: log_probs.shape[1]], MASKED)
        return self.value(hidden) + advantages

    def _predict(self, observation: Tensor, deterministic: bool = True) -> Tensor:  # type: ignore[override]
        return self(observation).argmax(dim=1)


class TokenQPolicy(BasePolicy):
    """Q-network, target network and exploration.

    Exploration happens here and not in ``DQN.predict``, which knows no absent choices: give ``DQN`` both of its
    ``exploration_*_eps=0``, as ``agents.make`` does.

    Args:
        observation_space: the environment's ``TokenSpace``.
        action_space: ``Discrete``: token or choice level.
        lr_schedule: learning rate by remaining progress; Stable-Baselines3 gives it.
        backbone: what ``agents.load_backbone`` takes; ``kind``, ``lora``, ``dtype`` and ``frozen`` go along with it.
        exploration: ``"epsilon_greedy"`` over the present choices, or ``"softmax"`` of Q / ``temperature``;
            ``None`` takes epsilon-greedy at choice level and softmax at token level, where a uniform token is noise.
        epsilon: first and last epsilon, and the number of environment steps between them.
        temperature: of the softmax; at token level the default is ``scale``, which samples from the language model.
        scale: what one nat of log-probability is worth as Q at the start.
    """

    q_net: TokenQNetwork
    q_net_target: TokenQNetwork
    steps: Tensor

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
        epsilon: tuple[float, float, int] = (1.0, 0.05, 5000),
        temperature: float | None = None,
        scale: float = 0.1,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            observation_space, action_space, optimizer_class=optimizer_class, optimizer_kwargs=optimizer_kwargs
        )
        if exploration not in (None, "epsilon_greedy", "softmax"):
            raise ValueError(f"exploration must be 'epsilon_greedy' or 'softmax', not {exploration!r}")
        self.settings: dict[str, Any] = {"backbone": backbone, "kind": kind, "lora": lora, "dtype": dtype}
        self.settings.update(frozen=frozen, scale=scale)
        self.exploring: dict[str, Any] = {"exploration": exploration, "epsilon": epsilon, "temperature": temperature}
        self.q_net = TokenQNetwork(observation_space, action_space, **self.settings)
        self.q_net_target = TokenQNetwork(observation_space, action_space, **self.settings)
        self.q_net_target.load_state_dict(self.q_net.state_dict())
        self.q_net_target.requires_grad_(False)
        self.q_net_target.set_training_mode(False)
        self.q_net_target.reader.cached = False  # it reads unrelated steps of the replay buffer
        self.exploration = exploration or ("epsilon_greedy" if self.q_net.reader.choice_level else "softmax")
        self.temperature = temperature or scale
        self.epsilon = epsilon
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))
        trainable = [parameter for parameter in self.q_net.parameters() if parameter.requires_grad]
        self.optimizer = optimizer_class(trainable, lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]

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
        q_values = self.q_net(observation)
        if deterministic:
            return q_values.argmax(dim=1)
        self.steps += len(q_values)
        if self.exploration == "softmax":
            return torch.multinomial((q_values / self.temperature).softmax(dim=1), 1).squeeze(1)
        explore = torch.rand(len(q_values), device=q_values.device) < self.current_epsilon()
        anything = torch.multinomial((q_values > MASKED / 2).float(), 1).squeeze(1)
        return torch.where(explore, anything, q_values.argmax(dim=1))

    def current_epsilon(self) -> float:
        """Probability of a uniformly drawn present choice, after the steps taken so far."""
        first, last, steps = self.epsilon
        return first + (last - first) * min(int(self.steps) / max(steps, 1), 1.0)

    def set_training_mode(self, mode: bool) -> None:
        """Put the Q-network in training or evaluation mode; the target network stays in evaluation."""
        self.q_net.set_training_mode(mode)
        self.training = mode
