"""`looptool plan`: counts that follow from params, sizes without loading, what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core import machine, params
from looptool.core.errors import ConfigError
from looptool.evaluation.bfcl import rows as bfcl
from looptool.training import memory
from looptool.workspace import plan as planning
from looptool.workspace import presets
from tests.test_loop import set_params
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]


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
     ("gpt-x", None), (f"hf:acme/phi@{'0' * 38}7b", None),
     (f"hf:Qwen/Qwen3-0.6B@{'0' * 40}", 596_049_920), ("hf:Qwen/Qwen3-32B", 32_762_123_264)],
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
    assert "8 on this machine need as many GPUs, and it has 0" in told
    work = work_of(plan)
    assert {"generate: author", "generate: judge", "verify: judge", "expand: expander"} <= set(work)
    assert not work["verify: judge"].local and work["probe"].local
    assert work["train"].requests == 4 * 286 * 128 * 16


def planned(preset: str, gpus: str, **changes: object) -> planning.Plan:
    presets.use(preset, lambda *texts: True)
    set_params(Path(), **{f"train.{name}": value for name, value in changes.items()})
    return planning.plan(params.load("params.yaml"), planning.parse_gpus(gpus))


@pytest.mark.parametrize(
    ("preset", "gpus"), [("qwen3-8b", "8x80"), ("qwen3-32b", "32x80"), ("one-gpu", "1x24")]
)
def test_a_preset_fits_the_gpus_that_it_names(preset: str, gpus: str) -> None:
    plan = planned(preset, gpus)
    assert plan.missing == [] and plan.hours is None and plan.memory is not None
    assert plan.memory.peak < plan.process_bytes


def test_memory_is_what_was_computed_by_hand() -> None:
    """Of Qwen3-8B on 8 x 80 GB: 57 GB while generating, 30 while training (docs/scale.md)."""
    shared = planned("qwen3-8b", "8x80").memory
    assert shared is not None
    assert shared.state == pytest.approx(16.4e9, rel=0.01)
    assert shared.generating == pytest.approx(57e9, rel=0.15)
    assert shared.training == pytest.approx(30e9, rel=0.15)
    whole = planned("qwen3-8b", "8x80", accelerate_config=None)
    assert whole.memory is not None and whole.memory.state == pytest.approx(131e9, rel=0.01)


@pytest.mark.parametrize(
    ("preset", "gpus", "changes", "told"),
    [
        ("qwen3-8b", "8x80", {"accelerate_config": None},
         "train.lora_rank: weights, gradients and optimizer take 131.1 GB of 80.0 GB in each "
         "process; set train.lora_rank: 32, or train.accelerate_config to a file with FSDP"),
        ("qwen3-8b", "4x80", {}, "train.accelerate_config: 8 processes need as many GPUs, and "
         "there are 4; change num_processes in configs/accelerate/eight-gpus-fsdp.yaml"),
        ("qwen3-8b", "8x24", {}, "train.vllm: colocate: vLLM needs 17.4 GB for the weights, and "
         "training leaves 10.7 GB of 24.0 GB; take more processes, raise "
         "vllm.tensor_parallel_size, or set train.vllm: server"),
        ("qwen3-8b", "8x80", {"rollout_memory": 0.9}, "train.rollout_memory: 85.3 GB of 80.0 GB "
         "while answers are drawn; lower it to 0.79"),
        ("qwen3-8b", "8x80", {"rollout_memory": 0.1}, "train.rollout_memory: 0.1 is 8.0 GB, but "
         "vLLM needs 17.4 GB for the weights; set it to 0.79"),
        ("qwen3-8b", "8x80", {"activation_checkpointing": False}, "train.tokens_per_pass: 20,480 "
         "tokens make 124.6 GB of 80.0 GB in a backward pass; set "
         "train.activation_checkpointing: true"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_the_setting_that_helps(
    preset: str, gpus: str, changes: dict[str, object], told: str
) -> None:
    assert planned(preset, gpus, **changes).missing == [told]


@pytest.mark.parametrize("text", ["80", "8x", "0x80", "8X80", "8x80GB"])
def test_gpus_have_a_form(text: str) -> None:
    with pytest.raises(ConfigError, match="--gpus: must be COUNTxGB, such as 8x80, found"):
        planning.parse_gpus(text)


def test_adapters_take_less_memory_than_all_weights() -> None:
    adapters, whole = planned("one-gpu", "1x24"), planned("one-gpu", "1x24", lora_rank=None)
    assert adapters.memory is not None and whole.memory is not None
    assert whole.memory.state == 16 * 1_720_574_976
    assert adapters.memory.state < whole.memory.state / 6


def test_a_cpu_has_the_memory_of_the_machine() -> None:
    make_tiny_model(Path("models/base"))
    set_params(Path(), **{"model.base": "models/base"})
    plan = planning.plan(params.load("params.yaml"))
    assert plan.memory is not None and plan.process_bytes == machine.memory_bytes()
    assert plan.memory.peak < plan.process_bytes
    assert not any(problem.startswith("memory") for problem in plan.missing)


def test_modes_without_a_loop_probe_nothing() -> None:
    text = Path("params.yaml").read_text("utf-8").replace("mode: loop #", "mode: static #")
    Path("params.yaml").write_text(text, "utf-8")
    assert "probe" not in work_of(planning.plan(params.load("params.yaml")))
