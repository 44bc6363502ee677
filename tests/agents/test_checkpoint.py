"""A saved learner continues as if it had never stopped; a broken write leaves the last good file."""

import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from transformers import AutoModelForCausalLM

import agents
from agents.learners.feedback import FeedbackLearner
from agents.learners.table import LEARNERS
from agents.memory.preferences import Preference
from agents.speaking import Request, load_speaker
from tests.agents.conftest import SMALL_BACKBONES

ENV = {"tokenizer": "textenvs", "window": 160, "max_utterance_tokens": 12}
PPO = {"n_steps": 16, "batch_size": 16}
DQN = {"learning_starts": 16, "batch_size": 8, "buffer_size": 200}


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.policy.state_dict().items()}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def make(learner: str, model: Any, settings: dict[str, Any]) -> Any:
    return agents.make(learner, "TextDialogue-v0", model, num_envs=2, seed=3, env_kwargs=ENV, **settings)


@pytest.mark.parametrize(
    ("learner", "settings"),
    [("ppo", PPO), ("a2c", {"n_steps": 16}), ("dqn", DQN), ("dqn", {**DQN, "train_freq": (2, "step")})],
)
def test_resuming_gives_what_an_uninterrupted_run_gives(
    small_model: str, tmp_path: Path, learner: str, settings: dict[str, Any]
) -> None:
    whole = make(learner, small_model, settings)
    whole.learn(64)
    whole.learn(64, reset_num_timesteps=False)

    first = make(learner, small_model, settings)
    first.learn(64)
    agents.save(first, tmp_path / "a.pt")
    torch.rand(17)  # what happens elsewhere must not matter
    np.random.rand(5)
    second = agents.load(tmp_path / "a.pt")
    assert second.num_timesteps == 64
    second.learn(64, reset_num_timesteps=False)
    assert_same(weights(second), weights(whole))


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("name", SMALL_BACKBONES)
@pytest.mark.parametrize(("learner", "settings"), [("ppo", PPO), ("dqn", DQN)])
def test_every_kind_of_backbone_resumes_exactly(
    name: str, tmp_path: Path, learner: str, settings: dict[str, Any], frozen: bool
) -> None:
    settings = {**settings, "policy_kwargs": {"frozen": frozen}}
    whole = make(learner, SMALL_BACKBONES[name], settings)
    whole.learn(32)
    agents.save(whole, tmp_path / "a.pt")
    whole.learn(32, reset_num_timesteps=False)
    torch.rand(3)  # what happens elsewhere must not matter
    again = agents.load(tmp_path / "a.pt")
    again.learn(32, reset_num_timesteps=False)
    assert_same(weights(again), weights(whole))


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_every_kind_of_backbone_is_exported_with_its_tokenizer(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = {**PPO, "learning_rate": 1e-2}
    model = agents.make("ppo", "TextGuessNumber-v0", SMALL_BACKBONES[name], num_envs=2, **settings)
    model.learn(32)
    capfd.readouterr()
    agents.export(model, tmp_path / "out")
    assert capfd.readouterr() == ("", "")  # transformers would draw a progress bar
    ours, again = model.policy.reader.backbone, agents.load_backbone(tmp_path / "out")  # type: ignore[union-attr]
    ids = torch.randint(8, 500, (2, 12))
    with torch.no_grad():
        torch.testing.assert_close(again.logits(again(ids)), ours.logits(ours(ids)), atol=0, rtol=0)
    plain = getattr(transformers, again.auto_class).from_pretrained(tmp_path / "out")
    assert type(plain) is type(ours.model)
    further = agents.make("ppo", "TextGuessNumber-v0", str(tmp_path / "out"), num_envs=2, **PPO)
    assert further.observation_space.vocab_size == model.observation_space.vocab_size  # type: ignore[attr-defined]
    further.learn(32)


def frozen_run(name: str, file: Path) -> Any:
    """A saved learner whose frozen model speaks by what was learned on top of it."""
    model: Any = make("ppo", SMALL_BACKBONES[name], {**PPO, "policy_kwargs": {"frozen": True}})
    torch.nn.init.normal_(model.policy.reader.shift.weight)
    torch.nn.init.normal_(model.policy.reader.shift.bias)
    agents.save(model, file)
    return model


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_a_frozen_run_speaks_with_what_it_learned(name: str, tmp_path: Path) -> None:
    model = frozen_run(name, tmp_path / "a.pt")
    speaker = load_speaker(tmp_path / "a.pt")
    reader, context = model.policy.reader, [1, *range(20, 30)]
    request = Request(context, 8)
    speaker.decoder(2).run([request])
    with torch.no_grad():
        hidden = reader.backbone(torch.tensor([context + request.ids]))[0, len(context) - 1 :]
        own = reader.token_logits(hidden).argmax(dim=1).tolist()
        assert (reader.backbone.logits(hidden) - reader.raw_logits(hidden)).abs().max() > 0.1
    assert request.ids and request.ids == own[: len(request.ids)]
    for write in (partial(agents.export, model), speaker.save, speaker.check_savable):
        with pytest.raises(ValueError, match="frozen=True"):
            write(tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_ratings_of_a_frozen_run_move_what_it_learned_and_are_saved(tmp_path: Path) -> None:
    frozen_run("gpt2", tmp_path / "a.pt")
    speaker = load_speaker(tmp_path / "a.pt")
    before = {name: each.clone() for name, each in speaker.backbone.state_dict().items()}
    learner = FeedbackLearner(speaker, rehearsal=2, rehearsal_tokens=16)
    messages = [{"role": "user", "content": "a cheap hotel"}, {"role": "assistant", "content": "what area"}]
    learner.rate(Preference(messages[:1], messages[1]))
    after = speaker.backbone.state_dict()
    assert {name for name in after if not torch.equal(after[name], before[name])} == {"shift.weight", "shift.bias"}
    speaker.save(tmp_path / "b.pt")
    assert_same(load_speaker(tmp_path / "b.pt").backbone.state_dict(), after)


def test_two_processes_with_one_seed_agree(small_model: str) -> None:
    code = (
        "import agents, torch\n"
        f"settings = {PPO!r}\n"
        f"e = {ENV!r}\n"
        f"m = agents.make('ppo', 'TextDialogue-v0', {small_model!r}, num_envs=2, seed=3, env_kwargs=e, **settings)\n"
        "m.learn(64)\n"
        "print(sum(float(p.double().sum()) for p in m.policy.parameters()).hex())"
    )
    outputs = {
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(outputs) == 1


def test_a_killed_run_leaves_a_file_that_loads(small_model: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    code = (
        "import agents\n"
        f"m = agents.make('ppo', 'TextDialogue-v0', {small_model!r}, num_envs=2, env_kwargs={ENV!r}, **{PPO!r})\n"
        "while True:\n"
        "    m.learn(32, reset_num_timesteps=False)\n"
        f"    agents.save(m, {str(path)!r})\n"
        "    print('saved', flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "saved\n"
        time.sleep(0.05)
        process.kill()
    model = agents.load(path)
    assert model.num_timesteps >= 64
    model.learn(32, reset_num_timesteps=False)


def test_a_saved_learner_keeps_the_defaults_it_was_made_with(
    small_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env_kwargs = {**ENV, "action_level": "token"}
    model: Any = agents.make("sac_discrete", "TextDialogue-v0", small_model, num_envs=2, env_kwargs=env_kwargs, **DQN)
    agents.save(model, tmp_path / "a.pt")
    row = LEARNERS["sac_discrete"]
    changed = replace(row, at={"token": {**row.at["token"], "target_entropy": 0.9, "learning_rate": 0.5}})
    monkeypatch.setitem(LEARNERS, "sac_discrete", changed)
    monkeypatch.setattr("agents.policies.soft_actor_critic.default_value_rate", lambda space: 3.0)
    loaded: Any = agents.load(tmp_path / "a.pt")
    assert loaded.policy.critic.value_rate == model.policy.critic.value_rate == 10.0
    assert (loaded.target_entropy, loaded.learning_rate) == (model.target_entropy, model.learning_rate)


def test_a_path_is_saved_as_its_name(small_model: str, tmp_path: Path) -> None:
    agents.save(make("ppo", Path(small_model), PPO), tmp_path / "a.pt")
    assert agents.load(tmp_path / "a.pt").recipe["backbone"] == small_model  # type: ignore[attr-defined]


def test_what_cannot_be_loaded_or_saved_says_why(small_model: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no saved learner"):
        agents.load(tmp_path / "missing.pt")
    (tmp_path / "bad.pt").write_bytes(b"not a learner")
    with pytest.raises(ValueError, match="not a learner saved by"):
        agents.load(tmp_path / "bad.pt")
    model = make("ppo", small_model, PPO)
    agents.save(model, tmp_path / "good.pt")
    good = (tmp_path / "good.pt").read_bytes()
    model.recipe["env_kwargs"] = {"tokenizer": object()}
    with pytest.raises(ValueError, match=r"tokenizer: .*by name or path"):
        agents.save(model, tmp_path / "good.pt")
    assert (tmp_path / "good.pt").read_bytes() == good
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_stable_baselines_zip_loads_and_predicts_the_same(small_model: str, tmp_path: Path) -> None:
    from stable_baselines3 import PPO as StablePPO

    model = make("ppo", small_model, PPO)
    model.learn(32)
    model.save(tmp_path / "model.zip")
    loaded = StablePPO.load(tmp_path / "model.zip")
    obs = model.get_env().reset()
    np.testing.assert_array_equal(model.predict(obs, deterministic=True)[0], loaded.predict(obs, deterministic=True)[0])
    assert_same(weights(loaded), weights(model))


@pytest.mark.parametrize("lora", [None, {"r": 2}])
def test_exported_folder_is_a_plain_model_with_the_same_logits(
    small_model: str, tmp_path: Path, lora: dict[str, Any] | None
) -> None:
    if lora is not None:
        pytest.importorskip("peft")
    model = make("ppo", small_model, {**PPO, "learning_rate": 1e-2, "policy_kwargs": {"lora": lora}})
    model.learn(64)
    agents.export(model, tmp_path / "out")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    ids = torch.randint(8, 500, (2, 12))
    backbone = model.policy.reader.backbone
    with torch.no_grad():
        ours = backbone.logits(backbone(ids))
        torch.testing.assert_close(plain(ids).logits, ours, atol=1e-4, rtol=1e-4)
        started = AutoModelForCausalLM.from_pretrained(small_model)(ids).logits
    assert not torch.allclose(started, ours, atol=1e-3)
