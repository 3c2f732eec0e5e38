"""What a run asks of engines is checked before any is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from looptool.core import machine, params, runs
from looptool.core.errors import ConfigError
from looptool.engines import answering

SHIPPED = params.read(Path(__file__).parents[2] / "params.yaml")
LLM = {
    "name": "llm", "engine": "vllm", "server": "", "batch_size": 8, "temperature": 0.0,
    "max_new_tokens": 9, "template_options": {},
}  # fmt: skip


def judged_by(*models: Path, share: float) -> params.Params:
    changes: dict[str, Any] = {
        "vllm": {**SHIPPED["vllm"], "gpu_memory_utilization": share},
        "verify": {
            **SHIPPED["verify"],
            "judges": [{**LLM, "model": str(model)} for model in models],
        },
    }
    return params.Params.model_validate({**SHIPPED, **changes})


@pytest.fixture(autouse=True)
def _vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "python_with_vllm", lambda: "python")


def test_a_model_that_is_no_folder_is_told_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"verify\.judges\.0\.model: .*/none: no such folder; write hf:owner"
    ):
        answering.check(judged_by(tmp_path / "none", share=0.5))


def test_models_of_one_stage_must_fit_side_by_side(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("a", "b")]
    for folder in folders:
        folder.mkdir()
    answering.check(judged_by(*folders, share=0.45))
    answering.check(judged_by(folders[0], share=0.9))
    with pytest.raises(
        ConfigError, match=r"0\.9 is too much for 2 models in one stage .* at most 0\.50"
    ):
        answering.check(judged_by(*folders, share=0.9))


def test_vllm_that_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "python_with_vllm", lambda: None)
    with pytest.raises(ConfigError, match=r"verify\.judges\.0\.engine: vLLM is not installed; run"):
        answering.check(judged_by(tmp_path, share=0.9))


def test_auto_is_vllm_where_it_has_a_gpu_and_metrics_say_which_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "serves_vllm", lambda: False)
    assert answering.settings("auto", "float32") == {"engine": "transformers", "dtype": "float32"}
    monkeypatch.setattr(machine, "serves_vllm", lambda: True)
    assert answering.settings("auto", "bfloat16") == {"engine": "vllm", "dtype": "bfloat16"}
    assert answering.settings("openai", "bfloat16") == {"engine": "openai", "dtype": None}
