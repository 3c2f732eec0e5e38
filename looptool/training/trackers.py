"""Experiment trackers that show a training while it runs, named by LOOPTOOL_REPORT_TO.

It is no parameter: what a tracker shows changes no result, so no stage reruns for it.
"""

from __future__ import annotations

import importlib.util
import os

from looptool.core.errors import ConfigError

VARIABLE = "LOOPTOOL_REPORT_TO"
TRACKERS = {  # and the packages that transformers takes for each
    "tensorboard": ("tensorboard", "tensorboardX"),
    "wandb": ("wandb",),
    "mlflow": ("mlflow",),
    "trackio": ("trackio",),
}


def tracker(label: str) -> str:
    """Return the tracker that LOOPTOOL_REPORT_TO names, or `none`.

    TensorBoard writes to reports/tensorboard, unless TENSORBOARD_LOGGING_DIR is set.

    Args:
        label: the name of the run, such as `train@1`.

    Raises:
        ConfigError: if there is no such tracker, or it is not installed.
    """
    name = os.environ.get(VARIABLE) or "none"
    if name == "none":
        return name
    if name not in TRACKERS:
        raise ConfigError(f"{VARIABLE}: {name!r} is unknown (allowed: {', '.join(TRACKERS)})")
    packages = TRACKERS[name]
    if not any(map(importlib.util.find_spec, packages)):
        raise ConfigError(f"{VARIABLE}: {name} is not installed; run `pip install {packages[0]}`")
    os.environ.setdefault("TENSORBOARD_LOGGING_DIR", f"reports/tensorboard/{label}")
    os.environ.setdefault("WANDB_DIR", "reports")
    return name
