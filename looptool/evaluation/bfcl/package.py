"""Check that the package with BFCL's questions and checkers is installed."""

from __future__ import annotations

import importlib.metadata
import sys

from looptool.core.errors import ConfigError

BFCL = ("bfcl-eval", "2025.7.9")


def check_benchmark() -> None:
    """Raise ConfigError unless the benchmark's package is installed in the required version."""
    if lacks(*BFCL):
        name, version = BFCL
        raise ConfigError(
            f"eval: the package {name} {version} is missing; install it with\n"
            f"  {sys.executable} -m pip install --no-deps {name}=={version}"
        )


def lacks(name: str, version: str) -> bool:
    """Whether a package is not installed in exactly this version."""
    try:
        return importlib.metadata.version(name) != version
    except importlib.metadata.PackageNotFoundError:
        return True
