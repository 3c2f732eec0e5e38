"""Lazy imports of the implementations that params choose by name."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError

ADDRESS = re.compile(r"(\w+(?:\.\w+)+):\w+")


def load(address: str, field: str = "") -> Any:
    """Import and return the object at an address, `package.module:name`.

    Registries map names in the params to such addresses, so that a stage imports only the
    implementations that its params choose. `fingerprints` follows addresses like imports. Modules
    of the user are found from the working directory, which is the project's root.

    Args:
        field: the field of params.yaml, or the option, that holds the address, for the error
            message.

    Raises:
        ConfigError: if the module or the object does not exist.
    """
    module, _, name = address.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        where = field if field.startswith("--") else f"params.yaml: {field}"
        raise ConfigError(f"{where}: {address}: {error}") from None
