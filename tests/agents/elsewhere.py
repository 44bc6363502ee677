"""Trains, plays and speaks on the device of ``elsewhere.cpp``: ``python elsewhere.py LIBRARY CASES``, where cases are
functions of this file. In a process of its own, as a device cannot be taken out of torch again."""

from __future__ import annotations

import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import torch

import agents
from agents.learners.table import keywords

NAME = "elsewhere"
ID = "TextMaze-v0"  # in which every turn costs something
SMALL = {"num_attention_heads": 2, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
MODELS: dict[str, Any] = {
    "llama": {"model_type": "llama", **SMALL},
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2},
    "bert": {"model_type": "bert", **SMALL},
    "xlnet": {"model_type": "xlnet", "d_model": 32, "d_inner": 64, "n_layer": 1, "n_head": 2},
}
# Of those that a learner takes: as little work as makes it learn once.
LITTLE = {
    "n_steps": 8,
    "batch_size": 8,
    "n_epochs": 1,
    "n_starts": 2,
    "group_size": 2,
    "learning_starts": 8,
    "train_freq": 4,
    "gradient_steps": 1,
    "n_critic_updates": 1,
}
states: list[torch.Tensor] = []  # of the device's generator


def register(library: str) -> None:
    """Make torch know the device."""
    torch.ops.load_library(library)
    torch.utils.rename_privateuse1_backend(NAME)
    module: Any = types.ModuleType(f"torch.{NAME}")
    module.is_available, module._is_in_bad_fork = lambda: True, lambda: False
    module.device_count, module.current_device = lambda: 1, lambda: 0
    module.manual_seed_all = lambda seed: None
    module.get_amp_supported_dtype = lambda: [torch.bfloat16]
    module.get_rng_state = lambda: torch.tensor([7, 1], dtype=torch.uint8)
    module.set_rng_state = states.append
    torch._register_device_module(NAME, module)
    torch.__future__.set_swap_module_params_on_conversion(True)  # weights stay what an optimizer holds, as on a GPU


def learner(name: str, level: str, backbone: str = "llama", steps: int = 24, **more: Any) -> Any:
    """A learner that has learned there."""
    algorithm = agents.LEARNERS[name].algorithm
    little = {key: value for key, value in LITTLE.items() if key in keywords(algorithm)}
    if name in ("dqn", "qrdqn", "ddqn"):
        little["n_steps"] = 1
    env = {
        "action_level": level,
        "window": 256,
        "max_utterance_tokens": 4,
        "level": "easy",
        **more.pop("env_kwargs", {}),
    }
    model: Any = agents.make(name, ID, MODELS[backbone], num_envs=2, env_kwargs=env, device=NAME, **{**little, **more})
    before = {key: value.cpu().clone() for key, value in model.policy.state_dict().items()}
    model.learn(steps)
    after = model.policy.state_dict()
    assert all(value.device.type == NAME and value.cpu().isfinite().all() for value in after.values()), name
    assert any((value.cpu() != before[key]).any() for key, value in after.items()), f"{name} did not learn"
    return model


def learners() -> None:
    """Every learner at every level."""
    for name, row in sorted(agents.LEARNERS.items()):
        for level in row.levels:
            learner(name, level)


def models() -> None:
    """Every kind of model, whole, frozen and with adapters, in both types."""
    for backbone in MODELS:
        for level in ("token", "turn", "choice"):
            model = learner("a2c", level, backbone)
            reader, seen = model.policy.reader, torch.as_tensor(model._last_obs, device=NAME)
            with torch.no_grad():
                cached = reader.last_hidden(seen).cpu()
                reader.cached = False
                torch.testing.assert_close(cached, reader.last_hidden(seen).cpu(), atol=1e-5, rtol=0)
        learner("dqn", "token", backbone)
    for keyword in ({"frozen": True}, {"lora": {"r": 2}}, {"dtype": "bfloat16"}):
        for level in ("token", "turn", "choice"):
            learner("a2c", level, policy_kwargs=keyword)
    for name in ("ppo", "grpo"):
        options = {"kl_coef": 0.1} if name == "grpo" else {"rollout_buffer_kwargs": {"kl_coef": 0.1}}
        learner(name, "token", **options)
    for name in ("dqn", "sac_discrete", "ilql"):
        learner(name, "token", env_kwargs={"constrain": True})


def runs() -> None:
    """Learners are evaluated, saved, loaded and exported, and go on."""
    from agents.players import PolicyPlayer

    for name, level in (("ppo", "turn"), ("ddqn", "choice"), ("sac_discrete", "token")):
        model = learner(name, level)
        agents.evaluate(PolicyPlayer(model), ID, 2)
        with tempfile.TemporaryDirectory() as folder:
            file = agents.save(model, Path(folder, "a.pt"))
            model.learn(16, reset_num_timesteps=False)
            assert agents.load(file, "cpu").device.type == "cpu" and not states
            again = agents.load(file)
            assert again.device.type == NAME and states.pop().tolist() == [7, 1]
            again.learn(16, reset_num_timesteps=False)
            for one, other in zip(model.policy.parameters(), again.policy.parameters(), strict=True):
                assert torch.equal(one.cpu(), other.cpu())
            agents.export(model, Path(folder, "b"))


def speech() -> None:
    """Models answer, are prompted and rated, and are made."""
    import textenvs
    from agents.learners.feedback import FeedbackLearner
    from agents.learners.pretrain import agent_accuracy, pretrain, transcripts
    from agents.memory.preferences import Preference
    from agents.players import HFPlayer
    from agents.speaking import Request, load_speaker

    speaker = load_speaker("tiny", device=NAME)
    prompt = [{"role": "user", "content": "user: what food?"}]
    requests = [Request(speaker.layout.encode(prompt), max_tokens=4, temperature=heat) for heat in (0.0, 1.0, 1.0)]
    speaker.decoder(2).run(requests)
    here = load_speaker("tiny", device="cpu")
    same = Request(here.layout.encode(prompt), max_tokens=4, temperature=0.0)
    here.decoder(1).run([same])
    assert requests[0].text == same.text and all(request.ids for request in requests)
    feedback = FeedbackLearner(speaker, rehearsal=2, rehearsal_tokens=8)
    answers = [{"role": "assistant", "content": text} for text in ("what area?", "cheap")]
    for rating in (Preference(prompt, *answers), Preference(prompt, None, answers[0]), Preference(prompt, answers[1])):
        assert feedback.rate(rating)["kl"] > 0
    feedback.undo()
    assert HFPlayer("tiny", device=NAME).speaker.backbone.model.device.type == NAME
    agents.evaluate(HFPlayer(speaker, max_tokens=8), ID, 2, level="easy")
    games = transcripts(ID, 1000, 0.5, 0)
    for model in MODELS.values():
        backbone = agents.load_backbone(model).to(NAME)
        pretrain(backbone, games, textenvs.load_tokenizer(), 2, 256)
        agent_accuracy(backbone, games[:2], textenvs.load_tokenizer())


def refusals() -> None:
    """The device is as strict as a GPU, or nothing here would show anything."""
    own = torch.ones(2, device=NAME)
    other, place = torch.ones(2), own.long()
    for mistake in (lambda: own.numpy(), lambda: own + other, lambda: own.index_put((place,), other)):
        try:
            mistake()
        except (RuntimeError, TypeError):
            continue
        raise AssertionError("a mistake was not noticed")


if __name__ == "__main__":
    register(sys.argv[1])
    for case in sys.argv[2:]:
        globals()[case]()
