"""Data sets in TRL's own formats: what its trainers make of them, one step each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.core import canonical, tables
from looptool.core.errors import LooptoolError
from looptool.engines import Prompt
from looptool.engines.templates import render
from looptool.exchange import exports
from looptool.lineage.revisions import open_workspace
from tests.lineage.conftest import make_project
from tests.tiny import make_tiny_model

PARTS = ("tools", "messages", "label")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_project(tmp_path_factory.mktemp("pairs") / "project", 120, 2)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model")


def opened(file: Path) -> Any:
    from datasets import load_dataset

    cache = str(file.parent / "cache")
    return load_dataset("json", data_files=str(file), split="train", cache_dir=cache)


def train_one_step(kind: str, tiny: Path, data: Any, folder: Path) -> Any:
    import trl

    settings = getattr(trl, f"{kind}Config")(
        output_dir=str(folder), max_steps=1, per_device_train_batch_size=2, report_to="none",
        max_length=None, use_cpu=True, bf16=False, gradient_checkpointing=False,
        save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    return getattr(trl, f"{kind}Trainer")(str(tiny), args=settings, train_dataset=data)


def test_sft_trainer_trains_on_the_labels_after_our_prompts(
    project: Path, tiny: Path, tmp_path: Path
) -> None:
    source, target = project / "data/iterations/2/train.parquet", tmp_path / "d.jsonl"
    count, left_out = exports.export_samples(source, target, "sft")
    assert count == 120 and not left_out
    data = opened(target)
    trainer = train_one_step("SFT", tiny, data, tmp_path / "out")
    tokenizer = trainer.processing_class
    rows = tables.read(source, tables.Samples).sort("sample_id").iter_rows(named=True)
    for row, made in zip(rows, trainer.train_dataset, strict=True):
        prompt = Prompt(canonical.loads(row["messages"]), canonical.loads(row["tools"]))
        text = tokenizer.decode(made["input_ids"])
        assert text.startswith(render(tokenizer, prompt))
        assert text.rstrip().endswith(tokenizer.eos_token)
    assert trainer.train().global_step == 1


def test_dpo_trainer_prefers_what_the_verdicts_prefer(
    project: Path, tiny: Path, tmp_path: Path
) -> None:
    target = tmp_path / "pairs.jsonl"
    count, left_out = exports.export_pairs(open_workspace(project), 1, target)
    folder = project / "data/iterations/1"
    verdicts = pl.read_parquet(folder / "verdicts.parquet")
    decided = verdicts.filter(pl.col("verdict").is_in(["PRED_WRONG", "LABEL_WRONG"]))
    assert count + left_out == len(decided) > 0 and count > 0
    lines = [json.loads(line) for line in target.read_text("utf-8").splitlines()]
    assert len(lines) == count
    samples = tables.read(folder / "train.parquet", tables.Samples)
    labels = {
        json.dumps(made["prompt"]): made["completion"]
        for row in samples.iter_rows(named=True)
        for made in [exports.record_of("sft", *map(canonical.loads, (row[name] for name in PARTS)))]
    }
    of_label = [
        [
            name
            for name in ("chosen", "rejected")
            if line[name] == labels[json.dumps(line["prompt"])]
        ]
        for line in lines
    ]
    assert of_label.count(["chosen"]) <= verdicts["verdict"].eq("PRED_WRONG").sum()
    assert of_label.count(["rejected"]) <= verdicts["verdict"].eq("LABEL_WRONG").sum()
    assert of_label.count(["chosen"]) + of_label.count(["rejected"]) == count
    trainer = train_one_step("DPO", tiny, opened(target), tmp_path / "out")
    assert trainer.train().global_step == 1


def test_an_iteration_that_was_not_verified_has_no_pairs(project: Path, tmp_path: Path) -> None:
    with pytest.raises(LooptoolError, match="no verdicts of this iteration, so no pairs; it has"):
        exports.export_pairs(open_workspace(project), 2, tmp_path / "pairs.jsonl")
