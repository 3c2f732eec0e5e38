"""Checks of model folders."""

from __future__ import annotations

from pathlib import Path

from looptool.core.errors import ConfigError

EMBEDDED_BASE = Path("models/base")


def base_problem(folder: Path) -> str | None:
    """Return why `folder` is not a usable base model, or None if it is."""
    if not folder.is_dir():
        return "no such folder"
    if not (folder / "config.json").is_file():
        return "it has no config.json"
    if not any(folder.glob("*.safetensors")):
        return "it has no weights (*.safetensors)"
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        return "it has no tokenizer (tokenizer.json)"
    return None


def check_base(base: Path) -> None:
    """Raise ConfigError unless `base`, the folder in `model.base`, has a model and a tokenizer."""
    if problem := base_problem(base):
        hint = "; `looptool setup` creates it" if base == EMBEDDED_BASE else ""
        raise ConfigError(f"params.yaml: model.base: {base}: {problem}{hint}")
