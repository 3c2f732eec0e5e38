"""The number type: found by flags and a timing, kept for the machine, and told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from looptool.core import machine, params
from looptool.core.errors import ConfigError
from looptool.engines import sizes
from looptool.training import memory
from tests.tiny import make_tiny_model

ROOT = Path(__file__).resolve().parents[2]
AVX2 = {"ONEDNN_MAX_CPU_ISA": "AVX2", "ATEN_CPU_CAPABILITY": "avx2"}


@pytest.fixture(autouse=True)
def _undecided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.setattr(machine, "gpus", list)
    machine._kept.cache_clear()
    yield
    machine._kept.cache_clear()


def cpu(monkeypatch: pytest.MonkeyPatch, flags: dict[str, bool], slowdown: float) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: flags)
    monkeypatch.setattr(machine, "_slowdown", lambda: slowdown)


def gpu(monkeypatch: pytest.MonkeyPatch, bf16: bool, memory_bytes: float = 24e9) -> None:
    device = SimpleNamespace(name="Tesla T4", total_memory=int(memory_bytes))
    monkeypatch.setattr(machine, "gpus", lambda: ["Tesla T4"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device_: device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)


@pytest.mark.parametrize(
    ("flags", "slowdown", "chosen"),
    [
        ({"avx512_bf16": True}, 0.5, "bfloat16"),
        ({"avx512_bf16": True}, 34.0, "float32"),  # hidden from PyTorch's kernels
        ({"avx512_bf16": False, "avx2": True}, 0.5, "float32"),
        ({"bf16": True}, 1.5, "bfloat16"),  # Arm, at a busy moment
    ],
)
def test_bf16_needs_the_flag_and_the_timing(
    flags: dict[str, bool], slowdown: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu(monkeypatch, flags, slowdown)
    assert machine.number_type("auto").name == chosen
    assert machine.number_type("float32").name == "float32"
    warned = [machine.number_type(wanted).warning is not None for wanted in ("auto", "bfloat16")]
    assert warned == [False, slowdown >= machine.SLOW]


def test_the_decision_is_made_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(monkeypatch, {"avx512_bf16": True}, 0.5)
    first = machine.number_type("auto")
    cpu(monkeypatch, {"avx512_bf16": True}, 50.0)  # a machine that is busy now
    machine._kept.cache_clear()  # as in the next stage's process
    assert machine.number_type("auto") == first
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")  # other kernels
    machine._kept.cache_clear()
    assert machine.number_type("auto").name == "float32"


def test_a_broken_or_missing_file_of_decisions_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu(monkeypatch, {}, 9.0)
    file = tmp_path / "scratch/machine.json"
    for text in ("{", "[1]", json.dumps({machine._identity(): {"of": "another version"}})):
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, "utf-8")
        machine._kept.cache_clear()
        assert machine.number_type("auto").name == "float32"
        assert json.loads(file.read_text("utf-8"))[machine._identity()]["name"] == "float32"
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(file / "below"))  # cannot be made
    machine._kept.cache_clear()
    assert machine.number_type("auto").name == "float32"


def test_vllm_is_chosen_only_where_torch_can_use_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: object())
    cpu(monkeypatch, {}, 9.0)
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA L4"])  # hidden, or without a driver
    assert not machine.serves_vllm()
    machine._kept.cache_clear()
    gpu(monkeypatch, bf16=True)
    assert machine.serves_vllm()


def test_slow_bf16_that_was_chosen_by_hand_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(monkeypatch, {}, 97.4)
    warning = machine.number_type("bfloat16").warning
    assert warning and "model.dtype: bfloat16 takes 97 times as long as float32" in warning
    assert machine.number_type("auto").warning is machine.number_type("float32").warning is None


def test_a_gpu_without_bf16_gets_float32_and_refuses_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, bf16=False)
    assert machine.number_type("auto").name == "float32"
    with pytest.raises(ConfigError, match=r"model\.dtype: bfloat16: the GPU, Tesla T4, has no bf1"):
        machine.number_type("bfloat16")


def test_a_gpu_with_bf16_uses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu(monkeypatch, bf16=True)
    assert machine.number_type("auto") == machine.NumberType(
        "bfloat16", True, "the GPU, Tesla T4, has bf16"
    )


def test_a_gpu_that_torch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(monkeypatch, {}, 9.0)
    monkeypatch.setattr(machine, "gpus", lambda: ["NVIDIA L4"])
    assert "cannot use the GPU, NVIDIA L4" in machine.number_type("auto").reason


def test_cuda_libraries_without_a_driver_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu(monkeypatch, {}, 9.0)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "find no NVIDIA driver" in machine.number_type("auto").reason


def test_a_gpu_too_small_to_train_the_model_is_told_before_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = make_tiny_model(tmp_path / "model")
    loaded = params.load(ROOT / "params.yaml")
    gpu(monkeypatch, bf16=True, memory_bytes=24e9)
    memory.check(model, loaded, "bfloat16")
    memory.check_warmup(model)
    needed = 16 * (memory.weights_of(model) or 0)
    gpu(monkeypatch, bf16=True, memory_bytes=needed - 1)
    with pytest.raises(ConfigError, match=r"train\.lora_rank: .* set train\.lora_rank: 32, or"):
        memory.check(model, loaded, "bfloat16")
    with pytest.raises(ConfigError, match=r"warmup\.steps: .* set 0 if the model already calls"):
        memory.check_warmup(model)


def test_a_gpu_takes_what_its_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaConfig

    model = SimpleNamespace(
        device=torch.device("cuda"), dtype=torch.bfloat16, config=LlamaConfig(vocab_size=1000),
        parameters=lambda: [torch.nn.Parameter(torch.zeros(1000))],
    )  # fmt: skip
    counts = {}
    for size in (24e9, 80e9):
        gpu(monkeypatch, bf16=True, memory_bytes=size)
        counts[size] = [sizes.decoding_rows(model, 400), memory.training_rows(model, 400, 2)]
        assert sizes.reading_rows(model, 10, 400) == 10
    assert all(few < many for few, many in zip(*counts.values(), strict=True))
    # of Llama 7B's shape: 0.5 MB of keys and values a token, and half of the memory for all
    assert 24e9 * 0.5 / 0.65e6 / 400 < counts[24e9][0] < 24e9 * 0.5 / 0.5e6 / 400


@pytest.mark.slow
def test_the_embedded_model_trains_on_a_cpu_without_bf16(tmp_path: Path) -> None:
    """In a process whose kernels know no bf16, though the flags may say so."""
    code = """
import json, sys
from pathlib import Path
from looptool.core import machine, runs
runs.quiet()
from tests.test_embedded import BASE, LABEL, QUESTION
from looptool.training.warmup import train_sft
dtype = machine.number_type("auto").name
history = train_sft(
    BASE, [(QUESTION, LABEL)] * 2, Path(sys.argv[1]), steps=1, batch_size=2, learning_rate=1e-4,
    schedule="constant", dtype=dtype, save_steps=9, seed=0, scratch=Path(sys.argv[1] + "-scratch"),
)
told = {"dtype": dtype, "loss": history[0]["loss"]}
print(json.dumps(told))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model")],
        cwd=ROOT, env={**os.environ, **AVX2}, capture_output=True, text=True,
    )  # fmt: skip
    assert not done.returncode, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["loss"] > 0
    if os.uname().machine == "x86_64":
        assert told["dtype"] == "float32"
    config = json.loads((tmp_path / "model/config.json").read_text("utf-8"))
    assert config["dtype"] == "bfloat16"  # whatever it was trained in
