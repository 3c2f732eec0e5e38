"""`looptool plan`: counts that follow from params, sizes without loading, what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core import machine, params
from looptool.evaluation.bfcl import rows as bfcl
from looptool.training import memory
from looptool.workspace import plan as planning
from looptool.workspace import presets
from tests.test_loop import set_params
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]
WEIGHT = 16 if machine.gpus() else 20  # bytes; a CPU keeps the fp32 gradient


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "gpus", list)
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text("utf-8"), "utf-8")
    Path("configs").symlink_to(ROOT / "configs")


def work_of(plan: planning.Plan) -> dict[str, planning.Work]:
    return {each.stage: each for each in plan.work}


def test_the_defaults_counts_follow_from_its_params() -> None:
    loaded = params.load("params.yaml")
    work = work_of(planning.plan(loaded))
    assert set(work) == {"train", "probe", "eval"}  # no model plays a role, and none is warmed up
    train = loaded.train
    assert work["train"].requests == 2 * train.steps * train.prompts_per_step * train.group_size
    assert work["probe"].requests == loaded.generate.samples
    assert work["eval"].requests == 3 * (30 + 6 * 4)
    set_params(Path(), **{"warmup.steps": 30})
    assert "warmup" in work_of(planning.plan(params.load("params.yaml")))


def test_benchmark_rows_are_those_of_the_benchmark() -> None:
    for name, count in bfcl.ROWS.items():
        assert len(bfcl.rows([name], None)) == count


def test_weights_are_counted_without_loading_them() -> None:
    folder = make_tiny_model(Path("models/base"))
    set_params(Path(), **{"model.base": "models/base"})
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.bfloat16)
    plan = planning.plan(params.load("params.yaml"))
    assert plan.weights == sum(weight.numel() for weight in model.parameters())
    assert plan.measured and plan.hours is not None and plan.hours > 0
    assert not any("model.base" in problem for problem in plan.missing)


@pytest.mark.parametrize(
    ("name", "weights"),
    [("Qwen/Qwen3-8B", 8e9), ("models/Qwen3-1.7B", 1.7e9), ("SmolLM2-135M-Instruct", 135e6),
     ("gpt-x", None), (f"hf:acme/phi@{'0' * 38}7b", None), (f"hf:Qwen/Qwen3-0.6B@{'0' * 40}", 6e8)],
)  # fmt: skip
def test_a_size_is_read_from_a_name_where_there_are_no_files(
    name: str, weights: float | None
) -> None:
    assert memory.weights_of(name) == weights


def test_nothing_is_said_of_the_template_of_another_base_than_the_params_name() -> None:
    make_tiny_model(Path("models/base"))
    presets.use("hub-small", lambda *texts: True)
    told = planning.plan(params.load()).missing
    assert "model.base: hf:Qwen/Qwen3-0.6B@" in told[0] and not any(
        "option" in each for each in told
    )


def test_the_papers_run_on_a_bare_machine_says_all_that_is_missing() -> None:
    presets.use("qwen3-8b", lambda *texts: True)
    plan = planning.plan(params.load("params.yaml"))
    told = "\n".join(plan.missing)
    assert "model.base: hf:Qwen/Qwen3-8B@" in told and "`looptool setup` downloads it" in told
    assert "servers.local: http://127.0.0.1:8000/v1" in told or "vLLM is not installed" in told
    assert "there is no GPU" in told
    work = work_of(plan)
    assert {"generate: author", "generate: judge", "verify: judge", "expand: expander"} <= set(work)
    assert not work["verify: judge"].local and work["probe"].local
    assert work["train"].requests == 4 * 160 * 64 * 16
    assert plan.train_bytes == 8e9 * WEIGHT


def test_adapters_take_less_memory_than_all_weights() -> None:
    presets.use("one-gpu", lambda before, after: True)
    plan = planning.plan(params.load("params.yaml"))
    assert plan.weights == 1.7e9 and plan.train_bytes == 3 * 1.7e9
    whole = planning.plan(params.load("params.yaml").model_copy(
        update={"train": params.load("params.yaml").train.model_copy(update={"lora_rank": None})}
    ))  # fmt: skip
    assert whole.train_bytes == WEIGHT * 1.7e9


def test_modes_without_a_loop_probe_nothing() -> None:
    text = Path("params.yaml").read_text("utf-8").replace("mode: loop #", "mode: static #")
    Path("params.yaml").write_text(text, "utf-8")
    assert "probe" not in work_of(planning.plan(params.load("params.yaml")))
