"""Names in params and what they stand for: `package.module:name`."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from looptool.core.errors import ConfigError

ADDRESS = re.compile(r"(\w+(?:\.\w+)+):\w+")


def load(address: str, field: str = "") -> Any:
    """Import what `package.module:name` names.

    Registries hold such addresses, so that the method imports none of its stand-ins, and a stage
    loads only what its params name. `fingerprints` follows them as it follows imports. A user's
    own modules are found from the working directory, the project's root.

    Args:
        field: of params.yaml, where a user may have misspelt it.

    Raises:
        ConfigError: if there is no such module, or it has no such name.
    """
    module, _, name = address.partition(":")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"params.yaml: {field}: {address}: {error}") from None
