"""DQN and what was found to mend it: double, dueling, prioritized, n-step and softmax, in any mix."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3 import DQN
from torch import Tensor
from torch.nn import functional

from agents.memory.packed_replay import PackedReplayBuffer
from agents.memory.prioritized import PrioritizedReplayBuffer


class DDQN(DQN):
    """Deep Q-learning with any of the parts that Rainbow put together (Hessel et al. 2018).

    Descends the Huber loss of ``Q(s, a) - y``, weighted where replay is prioritized, with
    ``y = R + gamma^n (1 - done) Q'(s', argmax_a Q(s', a))``, ``Q'`` being the target network. The maximum is over
    what is present (choice level) or admissible (token level, with ``constrain=True``).

    Args:
        double: let the online network choose the next action (van Hasselt et al. 2016, eq. 4); else the target network.
        dueling: hold advantages against their mean (Wang et al. 2016, eq. 9); ``policy_kwargs`` hold the rest.
        prioritized: draw by TD error (Schaul et al. 2016); ``replay_buffer_kwargs`` take ``alpha``, ``beta`` and
            ``epsilon``.
        n_steps: actions whose rewards are summed before bootstrapping (Sutton & Barto 2018, sec. 7.1), uncorrected, as
            in Rainbow.
        exploration: ``"epsilon_greedy"`` or ``"softmax"``; ``None`` takes the policy's own. ``policy_kwargs`` take
            ``epsilon`` and ``temperature``.
        keywords: those of ``DQN``.
    """

    def __init__(
        self,
        policy: Any,
        env: Any,
        *,
        double: bool = True,
        dueling: bool = True,
        prioritized: bool = True,
        n_steps: int = 3,
        exploration: str | None = None,
        replay_buffer_class: type[PackedReplayBuffer] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        policy_kwargs: dict[str, Any] | None = None,
        **keywords: Any,
    ) -> None:
        self.double, self.dueling, self.prioritized = double, dueling, prioritized
        if replay_buffer_class is None:
            replay_buffer_class = PrioritizedReplayBuffer if prioritized else PackedReplayBuffer
        elif issubclass(replay_buffer_class, PrioritizedReplayBuffer) != prioritized:
            raise ValueError(f"prioritized={prioritized} does not agree with replay_buffer_class={replay_buffer_class}")
        given = {} if exploration is None else {"exploration": exploration}
        super().__init__(
            policy,
            env,
            replay_buffer_class=replay_buffer_class,
            replay_buffer_kwargs={"n_steps": n_steps, **(replay_buffer_kwargs or {})},
            policy_kwargs={"dueling": dueling, **given, **(policy_kwargs or {})},
            **keywords,
        )

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """``gradient_steps`` steps of gradient descent."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)
        buffer: Any = self.replay_buffer
        buffer.progress = 1.0 - self._current_progress_remaining
        losses: list[float] = []
        values: list[float] = []
        for _ in range(gradient_steps):
            steps = buffer.sample(batch_size)
            with torch.no_grad():
                next_targets = self.q_net_target(steps.next_observations)
                next_online = self.q_net(steps.next_observations) if self.double else next_targets
                targets = td_targets(steps.rewards, steps.dones, steps.discounts, next_targets, next_online)
            q_values = self.q_net(steps.observations).gather(1, steps.actions)
            weights = steps.weights if self.prioritized else torch.ones_like(targets)
            loss = (weights * functional.smooth_l1_loss(q_values, targets, reduction="none")).mean()
            self.policy.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            if self.prioritized:
                buffer.update(steps.places, (targets - q_values.detach()).flatten().cpu().numpy())
            losses.append(loss.item())
            values.append(q_values.mean().item())
        self._n_updates += gradient_steps
        self.logger.record("train/loss", float(np.mean(losses)))
        self.logger.record("train/q_value", float(np.mean(values)))
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")


def td_targets(rewards: Tensor, dones: Tensor, discounts: Tensor, next_targets: Tensor, next_online: Tensor) -> Tensor:
    """``R + gamma (1 - done) Q'(s', argmax_a Q(s', a))``, ``(batch, 1)``.

    Args:
        rewards: sums of discounted rewards ``(batch, 1)``.
        dones: 1 where the episode terminated, ``(batch, 1)``.
        discounts: of what follows, ``(batch, 1)``.
        next_targets: ``Q'(s', a)`` of the target network, ``(batch, actions)``.
        next_online: ``Q(s', a)``, by which the action is chosen, ``(batch, actions)``.
    """
    chosen = next_online.argmax(dim=1, keepdim=True)
    return rewards + discounts * (1 - dones) * next_targets.gather(1, chosen)
