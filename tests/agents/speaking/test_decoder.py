"""Replies written together are those that each context gets alone, from fewer forward passes."""

from typing import Any

import pytest
import torch

from agents.backbones import load_backbone
from agents.speaking import Decoder, Layout, Request

SAID = ["user: i need a cheap hotel", "user: a train to cambridge please, on monday", "database: none found"]


@pytest.fixture(scope="module")
def backbone() -> Any:
    return load_backbone("tiny")


def contexts() -> list[list[int]]:
    return [Layout().encode([{"role": "user", "content": text}]) for text in SAID]


def alone(backbone: Any, context: list[int], tokens: int) -> list[int]:
    """The greedy reply, with the whole context read anew for every token."""
    tokenizer, said = Layout().tokenizer, []
    while len(said) < tokens:
        with torch.no_grad():
            logits = backbone.logits(backbone(torch.tensor([context + said]))[0, -1])
        logits[[*tokenizer.special_ids]] = -torch.inf
        token = int(logits.argmax())
        if token == tokenizer.end_id:
            break
        said.append(token)
    return said


@pytest.mark.parametrize("rows", [1, 2, 8])
def test_a_batch_gives_what_each_gets_alone(backbone: Any, rows: int) -> None:
    decoder = Decoder(backbone, Layout().tokenizer, rows)
    requests = [Request(context, max_tokens=12) for context in contexts()]
    decoder.run(requests)
    for request, context in zip(requests, contexts(), strict=True):
        assert request.ids == alone(backbone, context, 12)
        assert request.text == Layout().tokenizer.decode(request.ids)
        assert request.finish == ("length" if len(request.ids) == 12 else "stop")
    if rows == 8:  # all in one batch: as many passes as the longest has tokens
        assert decoder.steps <= 13


def test_a_draw_depends_on_its_seed_not_on_its_neighbours(backbone: Any) -> None:
    context = contexts()[0]

    def drawn(seeds: list[int | None], rows: int) -> list[list[int]]:
        requests = [Request(context, 10, temperature=1.5, seed=seed) for seed in seeds]
        Decoder(backbone, Layout().tokenizer, rows).run(requests)
        return [request.ids for request in requests]

    many = drawn([1, 2, 3, 1], 4)
    assert many[0] == many[3] != many[1]
    assert drawn([2], 1) == [many[1]]
    torch.manual_seed(5)
    first = drawn([None, None], 2)
    torch.manual_seed(5)
    assert drawn([None, None], 2) == first and first[0] != first[1]


def test_draws_have_the_models_probabilities(backbone: Any) -> None:
    context = contexts()[0]
    requests = [Request(context, 1, temperature=2.0, seed=seed) for seed in range(600)]
    Decoder(backbone, Layout().tokenizer, 64).run(requests)
    with torch.no_grad():
        logits = backbone.logits(backbone(torch.tensor([context]))[0, -1])
    logits[[*Layout().tokenizer.special_ids]] = -torch.inf
    expected = (logits / 2).softmax(0)
    drawn = torch.bincount(torch.tensor([(each.ids or [Layout().tokenizer.end_id])[0] for each in requests]))
    for token in expected.topk(3).indices.tolist():
        share, probability = drawn[token] / 600, expected[token]
        assert abs(share - probability) < 4 * (probability * (1 - probability) / 600) ** 0.5
    nucleus = [Request(context, 1, temperature=2.0, top_p=1e-6, seed=seed) for seed in range(20)]
    Decoder(backbone, Layout().tokenizer, 20).run(nucleus)
    assert {each.ids[0] for each in nucleus} == {int(expected.argmax())}


def test_log_probabilities_are_the_models(backbone: Any) -> None:
    context = contexts()[1]
    request = Request(context, 6, temperature=1.0, seed=3, logprobs=True, top_logprobs=2)
    Decoder(backbone, Layout().tokenizer, 3).run([request])
    with torch.no_grad():
        logits = backbone.logits(backbone(torch.tensor([context + request.ids]))[0])
    logits[:, [*Layout().tokenizer.special_ids]] = -torch.inf
    log_probs = logits.log_softmax(-1)
    for place, token in enumerate(request.ids):
        row = log_probs[len(context) - 1 + place]
        assert request.scores[place] == pytest.approx(float(row[token]), abs=1e-4)
        assert [best for best, _ in request.alternatives[place]] == row.topk(2).indices.tolist()


def test_a_stop_text_ends_a_reply_before_it_and_is_never_shown(backbone: Any) -> None:
    whole = Request(contexts()[0], 12)
    Decoder(backbone, Layout().tokenizer, 1).run([whole])
    stop = whole.text[4:7]
    request = Request(contexts()[0], 12, stop=("no such text", stop))
    decoder = Decoder(backbone, Layout().tokenizer, 1)
    decoder.admit(request)
    seen = ""
    while request.finish is None:
        decoder.step()
        assert whole.text.startswith(request.text) and request.text.startswith(seen)
        assert stop not in request.text
        seen = request.text
    assert request.finish == "stop" and request.text == whole.text[: whole.text.index(stop)]


def test_a_dialogue_that_goes_on_is_not_read_again(backbone: Any) -> None:
    computed: list[int] = []
    hook = backbone.register_forward_hook(lambda module, inputs, output: computed.append(inputs[0].numel()))
    decoder = Decoder(backbone, Layout().tokenizer, 2)
    messages: list[dict[str, Any]] = [{"role": "user", "content": SAID[0]}]
    first = Request(Layout().encode(messages), 8)
    decoder.run([first, Request(contexts()[2], 8)])
    messages += [{"role": "assistant", "content": "", "ids": first.ids}, {"role": "user", "content": SAID[1]}]
    second = Request(Layout().encode(messages), 1)
    computed.clear()
    decoder.run([second])
    hook.remove()
    new = len(second.context) - len(first.context) - len(first.ids)
    assert sum(computed) <= new + 1


def test_what_does_not_fit_is_refused(backbone: Any) -> None:
    decoder = Decoder(backbone, Layout().tokenizer, 1, limit=20)
    for request, message in ((Request([1] * 15, 6), "room for 20"), (Request([], 3), "needs a context")):
        with pytest.raises(ValueError, match=message):
            decoder.run([request])
    assert decoder.free == 1


def test_a_cancelled_reply_makes_room(backbone: Any) -> None:
    decoder = Decoder(backbone, Layout().tokenizer, 1)
    request = Request(contexts()[0], 50)
    decoder.admit(request)
    decoder.step()
    request.finish = "cancelled"
    assert decoder.step() == [] and decoder.free == 1 and len(request.ids) == 1
