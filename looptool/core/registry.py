"""Names in params and what they stand for: `package.module:name`."""

from __future__ import annotations

import importlib
from typing import Any


def load(address: str) -> Any:
    """Import what `package.module:name` names.

    Registries hold such addresses, so that the method imports none of its stand-ins, and a stage
    loads only what its params name. `fingerprints` follows them as it follows imports.
    """
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)
