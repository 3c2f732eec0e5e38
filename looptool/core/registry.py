"""Lazy imports of the implementations that params choose by name."""

from __future__ import annotations

import importlib
from typing import Any


def load(address: str) -> Any:
    """Import and return the object at an address, `package.module:name`.

    Registries map names in the params to such addresses, so that a stage imports only the
    implementations that its params choose. `fingerprints` follows addresses like imports.
    """
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)
