"""Data files of the package."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml

# libyaml is twenty times as fast as a parser in Python, and every stage reads these files. It reads
# YAML 1.1, in which a bare `no` is false; a test checks that the files mean the same in 1.2.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(package: str, name: str) -> Any:
    """Return the content of a YAML file.

    Args:
        package: the package that the file is in.
        name: the path of the file in the package, such as "data/pools.yaml".
    """
    text = (resources.files(package) / name).read_text(encoding="utf-8")
    return yaml.load(text, Loader=_LOADER)
