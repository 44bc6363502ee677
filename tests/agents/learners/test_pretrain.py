"""Each kind of backbone learns from transcripts, by an objective that cannot see what it asks for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import agents
import textenvs
from agents.backbones import load_backbone
from agents.learners.objectives import MaskedTokens, NextToken, Permutations, objective, spoken
from agents.learners.pretrain import agent_accuracy, main, pretrain, transcripts
from tests.agents.conftest import SMALL_BACKBONES

TOKENIZER = textenvs.load_tokenizer("textenvs")
EASY = {"level": "easy", "window": 160, "max_utterance_tokens": 8}


@pytest.fixture(scope="module")
def games() -> list[np.ndarray]:
    return transcripts("TextGuessNumber-v0", 30_000, 0.5, seed=0, **EASY)


@pytest.fixture(scope="module")
def held_out() -> list[np.ndarray]:
    return transcripts("TextGuessNumber-v0", 1_500, 0.0, seed=1, split="test", **EASY)


@pytest.mark.parametrize("name", SMALL_BACKBONES)
def test_the_loss_falls_and_unseen_play_is_foretold_better(
    name: str, games: list[np.ndarray], held_out: list[np.ndarray]
) -> None:
    torch.manual_seed(0)
    backbone = load_backbone(SMALL_BACKBONES[name])
    before = agent_accuracy(backbone, held_out, TOKENIZER)
    losses: list[float] = []
    pretrain(backbone, games, TOKENIZER, 150, 1024, 5e-3, warmup=10, report=lambda update, loss: losses.append(loss))
    after = agent_accuracy(backbone, held_out, TOKENIZER)
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 1.0
    assert before < 0.1 and after > before + 0.3


def test_each_kind_has_its_objective() -> None:
    kinds = {name: type(objective(load_backbone(config), TOKENIZER)) for name, config in SMALL_BACKBONES.items()}
    assert kinds == {"gpt2": NextToken, "gru": NextToken, "bert": MaskedTokens, "xlnet": Permutations}


def test_the_agents_own_tokens() -> None:
    agent, env, end = TOKENIZER.agent_prefix[-1], TOKENIZER.env_prefix[-1], TOKENIZER.end_id
    ids = torch.tensor([[1, env, 20, agent, 30, 31, end, env, 21, agent, 32, end, TOKENIZER.pad_id]])
    assert spoken(ids, TOKENIZER)[0].nonzero().flatten().tolist() == [4, 5, 6, 10, 11]


def test_hidden_tokens_are_hidden(games: list[np.ndarray]) -> None:
    torch.manual_seed(0)
    task: Any = objective(load_backbone(SMALL_BACKBONES["bert"]), TOKENIZER)
    ids = torch.randint(8, 2000, (400, 40))
    real = torch.arange(40) < torch.randint(10, 40, (400, 1))
    shown, hidden = task.hide(ids, real)
    last = real.sum(dim=1) - 1
    rows = torch.arange(400)
    assert hidden[rows, last].all() and (shown[rows, last] == task.backbone.mask_id).all()
    assert not hidden[~real].any() and (shown == ids)[~hidden].all()
    hidden[rows, last] = False
    assert 0.12 < float(hidden.sum() / real.sum()) < 0.17
    masked = (shown == task.backbone.mask_id)[hidden].float().mean()
    left = (shown == ids)[hidden].float().mean()
    assert 0.75 < masked < 0.85 and 0.07 < left < 0.13


def test_transcripts_that_begin_as_another_one_are_told_so() -> None:
    torch.manual_seed(0)
    task: Any = objective(load_backbone(SMALL_BACKBONES["bert"]), TOKENIZER)
    agent = TOKENIZER.agent_prefix[-1]
    rows = [np.array([100 * k, 100 * k + 1, agent, 100 * k + 2, agent, 100 * k + 3]) for k in range(1, 9)]
    seen = []
    for _ in range(50):
        mixed, related = task.mixed(rows)
        for new, old, whole in zip(mixed, rows, related.tolist(), strict=True):
            games = {int(token) // 100 for token in new if token != agent}
            assert (len(games) == 1) == whole
            assert new[-1] == old[-1], "it goes on as itself"
            seen.append(whole)
    assert 0.7 < np.mean(seen) < 0.85


def test_an_encoder_learns_what_goes_on_as_it_began() -> None:
    """Games of one letter each: with the beginning of another one there are two letters."""
    torch.manual_seed(0)
    # At the usual 0.02 so narrow a model stays long at telling the more frequent answer.
    task: Any = objective(load_backbone({**SMALL_BACKBONES["bert"], "initializer_range": 0.1}), TOKENIZER)
    agent, env, end = TOKENIZER.agent_prefix[-1], TOKENIZER.env_prefix[-1], TOKENIZER.end_id
    letters = [100, 101]
    games = [np.array([1, env, k, agent, k, end, env, k, agent, k, end]) for k in letters for _ in range(16)]
    optimizer = torch.optim.AdamW(task.parameters(), lr=3e-3)

    def accuracy() -> float:
        rows, _ = task.mixed(games * 4)
        alike = torch.tensor([len({*row.tolist()} & {*letters}) == 1 for row in rows])
        assert (~alike).sum() > 10
        ids = torch.as_tensor(np.stack(rows))
        with torch.no_grad():
            told = task.goes_on(task.backbone.encode(ids, torch.ones_like(ids, dtype=torch.bool))[:, 0])[:, 0] > 0
        return float((told == alike).float().mean())

    assert accuracy() < 0.95
    for update in range(800):
        loss = task(games)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % 50 == 49 and accuracy() == 1.0:
            return
    pytest.fail(f"accuracy {accuracy():.2f} after 800 updates")


@torch.no_grad()
def test_no_prediction_of_a_permutation_sees_its_own_token() -> None:
    torch.manual_seed(0)
    backbone: Any = load_backbone(SMALL_BACKBONES["xlnet"])
    task: Any = objective(backbone, TOKENIZER)
    ids, lengths = torch.randint(8, 2000, (1, 12)), torch.tensor([12])
    straight = 0
    for _ in range(8):
        order, asked = task.orders(ids, lengths)
        straight += bool((order == torch.arange(12)).all())
        for place in asked[0].nonzero().flatten().tolist():
            assert order[0, place] > 0, "the first of an order sees nothing"
            mapping = torch.zeros(1, 1, 12)
            mapping[0, 0, place] = 1.0
            here = backbone.queries(ids, order, mapping)
            for other in range(12):
                changed = ids.clone()
                changed[0, other] = ids[0, other] % 1000 + 500
                moved = float((backbone.queries(changed, order, mapping) - here).abs().max())
                assert (moved > 1e-7) == bool(order[0, other] < order[0, place])
    assert 0 < straight < 8


def test_the_command_writes_a_folder_that_a_learner_starts_from(tmp_path: Path) -> None:
    small = '{"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}'
    given = ["--ids", "TextGuessNumber-v0", "--transcripts", "2000", "--updates", "3", "--tokens", "256"]
    main([*given, "--out", str(tmp_path / "bert"), "--kind", "masked", "--config", small])
    main([*given, "--out", str(tmp_path / "more"), "--start", str(tmp_path / "bert")])
    model: Any = agents.make("a2c", "TextGuessNumber-v0", str(tmp_path / "more"), num_envs=2, n_steps=4)
    assert model.policy.reader.backbone.kind == "masked" and model.policy.reader.backbone.hidden_size == 32
    model.learn(8)
    with pytest.raises(SystemExit):
        main(["--kind", "masked"])
    with pytest.raises(SystemExit):
        main(["--kind", "bidirectional", "--out", str(tmp_path / "no")])


@pytest.mark.parametrize("env_id", ["TextBandit-v0", "TextClassification-v0", "TextMaze-v0"])
def test_tiny_says_what_it_was_offered(env_id: str) -> None:
    model = agents.make("a2c", env_id, "tiny", num_envs=64, env_kwargs={"level": "easy", "action_level": "turn"})
    envs = model.get_env()
    assert envs is not None
    torch.manual_seed(0)
    said, _ = model.predict(envs.reset(), deterministic=False)  # type: ignore[arg-type]
    offered = envs.env_method("valid_actions")
    admissible = [TOKENIZER.decode(ids) in valid for ids, valid in zip(said, offered, strict=True)]
    assert np.mean(admissible) > 0.8
