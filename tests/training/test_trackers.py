"""LOOPTOOL_REPORT_TO: a training is shown while it runs, and its result stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from looptool.core.errors import ConfigError
from looptool.training.grpo import train_grpo
from looptool.training.trackers import tracker
from tests.tiny import make_tiny_model
from tests.training.test_training import EXAMPLES, VLLM, settings


def test_tensorboard_gets_every_step_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOPTOOL_REPORT_TO", "tensorboard")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    assert tracker("train@1") == "tensorboard"
    base = make_tiny_model(tmp_path / "base")
    histories, models = [], []
    for name in ("none", "tensorboard"):
        histories.append(
            train_grpo(
                base, EXAMPLES, tmp_path / name, settings(steps=2), vllm=VLLM, match="schema",
                dtype="float32", seed=7, scratch=tmp_path / f"{name}-scratch",
                report=(name, "project train@1"),
            )
        )  # fmt: skip
        models.append((tmp_path / name / "model.safetensors").read_bytes())
    assert histories[0] == histories[1] and models[0] == models[1]
    (events,) = (tmp_path / "board").glob("events.*")
    assert events.read_bytes().count(b"train/rollout/reward") == 2


def test_a_tracker_is_known_and_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOOPTOOL_REPORT_TO", raising=False)
    assert tracker("train@1") == "none"
    monkeypatch.setenv("LOOPTOOL_REPORT_TO", "board")
    with pytest.raises(ConfigError, match="LOOPTOOL_REPORT_TO: 'board' is unknown"):
        tracker("train@1")
    monkeypatch.setenv("LOOPTOOL_REPORT_TO", "mlflow")
    with pytest.raises(ConfigError, match="mlflow is not installed; run `pip install mlflow`"):
        tracker("train@1")
