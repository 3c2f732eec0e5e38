"""Scores of completions that share a prompt's row are those of rows of their own."""

from __future__ import annotations

import pytest
import torch

from looptool.engines.transformers import load_model
from looptool.training import scoring
from looptool.training.scoring import score_completions, shares_prompts
from tests.tiny import make_tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory):
    folder = make_tiny_model(tmp_path_factory.mktemp("tiny") / "base")
    return load_model(folder, "float32")[0]


def apart(model, prompt, completion, temperature):
    """Return (log p of each token, entropy at each) of one completion behind its own prompt."""
    logits = model(torch.cat([prompt, completion])[None]).logits[0] / temperature
    logps = logits.log_softmax(-1)
    places = torch.arange(len(prompt) - 1, len(prompt) + len(completion) - 1)
    return logps[places, completion], -(logps.exp() * logps).sum(-1)[places]


def batch(lengths):
    generator = torch.Generator().manual_seed(3)
    prompts, completions = [], []
    for prompt_length, own in lengths:
        prompt = torch.randint(3, 250, (prompt_length,), generator=generator)
        for length in own:
            prompts.append(prompt)
            completions.append(torch.randint(3, 250, (length,), generator=generator))
    return prompts, completions


LENGTHS = [
    [(5, [3])],
    [(7, [4, 1, 6])],
    [(9, [2, 5]), (3, [1, 1, 1]), (12, [8])],
    [(1, [3, 3])],
]


@pytest.mark.parametrize("lengths", LENGTHS)
def test_scores_are_those_of_separate_rows(model, lengths):
    assert shares_prompts(model)
    prompts, completions = batch(lengths)
    logps, entropies = score_completions(model, prompts, completions, pad=2, temperature=0.7)
    pairs = [apart(model, p, c, 0.7) for p, c in zip(prompts, completions, strict=True)]
    torch.testing.assert_close(logps, torch.cat([pair[0] for pair in pairs]), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(
        entropies, torch.cat([pair[1] for pair in pairs]), atol=1e-4, rtol=1e-4
    )


def test_a_row_that_would_get_too_long_is_split(model, monkeypatch):
    prompts, completions = batch([(6, [3, 4, 2, 5])])
    whole, _ = score_completions(model, prompts, completions, pad=2)
    monkeypatch.setattr(scoring, "ROW_TOKENS", 13)
    split, none = score_completions(model, prompts, completions, pad=2, entropy=False)
    assert none is None
    torch.testing.assert_close(whole, split, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lengths", LENGTHS)
def test_gradients_are_those_of_separate_rows(model, lengths):
    prompts, completions = batch(lengths)
    weights = torch.linspace(-1, 2, sum(len(c) for c in completions))
    model.zero_grad()
    (score_completions(model, prompts, completions, pad=2)[0] * weights).sum().backward()
    together = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    own = torch.cat([apart(model, p, c, 1.0)[0] for p, c in zip(prompts, completions, strict=True)])
    (own * weights).sum().backward()
    for one, other in zip(together, (p.grad for p in model.parameters()), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)


def test_a_model_with_windows_reads_each_prompt_by_itself(model):
    prompts, completions = batch([(6, [3, 4])])
    shared, _ = score_completions(model, prompts, completions, pad=2)
    model.config.sliding_window = 4096
    try:
        assert not shares_prompts(model)
        alone, _ = score_completions(model, prompts, completions, pad=2)
    finally:
        del model.config.sliding_window
    torch.testing.assert_close(shared, alone, atol=1e-4, rtol=1e-4)
