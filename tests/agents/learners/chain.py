"""A problem of three states and tables in place of models, for updates that can be computed by hand."""

from typing import Any

import torch
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from agents.memory.packed import PackedBatch
from agents.vec_env import TextVecEnv, make_vec_env
from textenvs.game import Game, Turn

ID = "TextChain-v0"


class Chain(Game):
    """From a to b to c: "go" goes on, with 1 at the end; "stop" ends with 0.25."""

    max_turns = 5
    max_choices = 2

    def reset(self, rng: Any) -> str:
        self._place = 0
        return "a"

    def step(self, action: str) -> Turn:
        if action == "stop":
            return Turn("end", 0.25, True, {"success": False})
        self._place += 1
        if self._place == 3:
            return Turn("end", 1.0, True, {"success": True})
        return Turn("abc"[self._place])

    def valid_actions(self) -> list[str]:
        return ["go", "stop"]

    def expert_action(self) -> str:
        return "go"


def chain_env(rows: int = 1) -> TextVecEnv:
    return make_vec_env(ID, rows, seed=0, action_level="choice", window=48, max_utterance_tokens=4)


class Table(nn.Module):
    """Numbers for each state and action: ``(states, *shape)``, four states with the end."""

    def __init__(self, tokenizer: Any, *shape: int) -> None:
        super().__init__()
        self.letters = [tokenizer.encode(text)[0] for text in ("a", "b", "c", "end")]
        self.offset = 1 + len(tokenizer.agent_prefix) - 1
        self.numbers = nn.Parameter(torch.zeros(4, *shape))

    def state(self, obs: Tensor | PackedBatch) -> Tensor:
        if isinstance(obs, PackedBatch):
            letters = obs.ids[obs.segment, obs.position - self.offset]
        else:
            lengths = (obs[:, :48] != 0).sum(dim=1)
            letters = obs[torch.arange(len(obs)), lengths - 1 - self.offset]
        return (letters[:, None] == torch.tensor(self.letters)).long().argmax(dim=1)

    def forward(self, obs: Tensor | PackedBatch) -> Tensor:
        return self.numbers[self.state(obs)]


class TablePolicy(BasePolicy):
    """What tables have in common."""

    def __init__(self, observation_space: Any, action_space: Any, lr_schedule: Any, tokenizer: Any) -> None:
        super().__init__(observation_space, action_space)
        self.make(tokenizer)
        self.optimizer = torch.optim.SGD([p for p in self.parameters() if p.requires_grad], lr=lr_schedule(1))

    def make(self, tokenizer: Any) -> None:
        raise NotImplementedError

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        return torch.zeros(len(observation), dtype=torch.int64)


def fill(model: Any, episodes: list[str]) -> None:
    """Play ``episodes``, strings of ``g`` (go) and ``s`` (stop), into the replay buffer of a learner with one row."""
    env = model.get_env()
    observations = env.reset()
    for letter in "".join(episodes):
        actions = torch.tensor(["gs".index(letter)]).numpy()
        after, rewards, dones, infos = env.step(actions)
        following = after.copy()
        if dones[0]:
            following[0] = infos[0]["terminal_observation"]
        model.replay_buffer.add(observations, following, actions, rewards, dones, infos)
        observations = after
    everything = torch.arange(model.replay_buffer.size()).numpy()
    if not hasattr(model.replay_buffer, "tree"):
        model.replay_buffer._draw = lambda batch_size: (everything, torch.zeros_like(torch.tensor(everything)).numpy())


def ready(model: Any) -> Any:
    """A learner that can train without ``learn``."""
    from stable_baselines3.common.logger import configure

    model.set_logger(configure(None, []))
    model._current_progress_remaining = 1.0
    return model
