"""The package's YAML files."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

import looptool
from looptool.core.packaged import read_yaml

ROOT = Path(looptool.__file__).parent
FILES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.yaml"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_means_the_same_in_yaml_1_2(name: str) -> None:
    assert read_yaml("looptool", name) == YAML(typ="safe", pure=True).load(ROOT / name)
