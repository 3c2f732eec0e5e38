"""A small loop on the real vLLM: the embedded model is probed, judges, writes and expands.

It is far too small for these roles: that its answers are refused is what is expected, and that
every one of them is on record. `make test-vllm`.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.core import tables
from looptool.lineage.checks import verify_lineage
from looptool.lineage.revisions import open_workspace
from tests.test_loop import dvc, project, ran, set_params, table

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
ROLE = {
    "name": "llm", "engine": "vllm", "server": "local", "model": "models/base",
    "batch_size": 1, "temperature": 0.0, "max_new_tokens": 120, "template_options": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = project(tmp_path_factory.mktemp("vllm"))
    shutil.rmtree(folder / "models/base")
    shutil.copytree(ROOT / "models/base", folder / "models/base")
    set_params(
        folder,
        **{
            "vllm.max_model_len": 2048,
            "vllm.gpu_memory_utilization": 0.3,
            "heldout.samples": 4,
            "warmup.steps": 0,
            "warmup.samples": 4,
            "warmup.label_noise": 0.0,
            "generate.label_noise": 0.0,
            "generate.samples": 12,
            "generate.author": {**ROLE, "temperature": 0.7},
            "train.steps": 1,
            "probe.engine": "vllm",
            "probe.max_new_tokens": 32,
            "eval.engine": "vllm",
            "eval.bfcl.limit": 1,
            "eval.heldout_limit": 2,
            "verify.judges": [ROLE],
            "expand.expander": ROLE,
        },
    )  # fmt: skip
    return folder, dvc(folder, "repro")


def test_the_loop_comes_through(loop: Any) -> None:
    folder, output = loop
    assert ran(output)[-1] == "summarize"
    assert list(verify_lineage(open_workspace(folder))) == []
    data = table(folder, "iterations/2/train.parquet", tables.Samples)
    assert len(data) == 12


def test_every_answer_is_on_record_and_every_refusal_has_its_reason(loop: Any) -> None:
    folder, _ = loop
    asked: Counter[str] = Counter()
    for file in sorted((folder / "data/iterations").glob("*/requests/*.parquet")):
        requests = tables.read(file, tables.Requests)
        asked.update(requests["prompt"].to_list())
        assert (requests["tokens"] > 0).all()
    assert {"synthesis/grow", "judging/compare"} <= set(asked)
    verdicts = table(folder, "iterations/1/verdicts.parquet", tables.Verdicts)
    probe = table(folder, "iterations/1/probe.parquet", tables.Probe)
    assert len(verdicts) == len(probe.filter(~pl.col("matched")))
    assert probe["ppl"].null_count() == 0
