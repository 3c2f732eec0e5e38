"""`looptool config use NAME`: apply a preset of configs/ to params.yaml.

A preset has the optional fields `iterations` and `set`, new values by dotted name. Other values
stay unchanged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from looptool.core import params
from looptool.core.errors import ConfigError
from looptool.workspace import unroll as unrolling

FOLDER = Path("configs")
OTHERS = ("results", "warm-start", "warm-start-cpu")  # files of FOLDER that are no presets


def use(name: str, agree: Callable[[str, str], bool], path: Path | str = params.FILE) -> bool:
    """Apply a preset to params.yaml, keeping comments. Return whether the file was written.

    Args:
        agree: takes the old and the new text of the file and returns whether to write it.

    Raises:
        ConfigError: if there is no such preset, or it would make params.yaml invalid.
    """
    preset = _read(name, Path(path).parent)

    def change(document: Any) -> None:
        if preset.get("iterations"):
            unrolling.set_iterations(document, preset["iterations"])
        for field, value in preset["set"].items():
            *sections, last = field.split(".")
            section = document
            for part in sections:
                if part not in section:
                    raise ConfigError(f"{FOLDER / name}.yaml: set.{field}: no such field")
                section = section[part]
            section[last] = value

    return unrolling.edit(path, change, agree)


def _read(name: str, root: Path) -> dict[str, Any]:
    file = root / FOLDER / f"{name}.yaml"
    try:
        preset = YAML(pure=True).load(file.read_text("utf-8"))
    except FileNotFoundError:
        known = sorted(path.stem for path in file.parent.glob("*.yaml") if path.stem not in OTHERS)
        raise ConfigError(f"{file}: does not exist; presets are: {', '.join(known)}") from None
    except (YAMLError, OSError) as error:
        raise ConfigError(f"{file}: not valid YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(preset, dict) or not set(preset) <= {"iterations", "set"}:
        raise ConfigError(f"{file}: a preset has only the fields iterations and set")
    return {"set": {}, **preset}
