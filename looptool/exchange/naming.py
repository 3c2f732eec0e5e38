"""Legal tool names: letters, digits, `_`, `.` and `-`, at most 64 characters."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection

LONGEST = 64

_LEGAL = re.compile(rf"[A-Za-z_][A-Za-z0-9_.-]{{0,{LONGEST - 1}}}")


def is_legal(name: str) -> bool:
    return _LEGAL.fullmatch(name) is not None


def legal_name(name: str, taken: Collection[str] = ()) -> str:
    """Return `name` if it is legal and not taken, otherwise a similar name that is.

    A name that is too long is cut and gets a hash as suffix.
    """
    if not is_legal(name):
        name = re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_") or "tool"
        if not re.match(r"[A-Za-z_]", name):
            name = f"_{name}"
        if len(name) > LONGEST:
            digest = hashlib.sha256(name.encode()).hexdigest()[:8]
            name = f"{name[: LONGEST - 9]}_{digest}"
    free, number = name, 2
    while free in taken:
        ending = f"_{number}"
        free, number = f"{name[: LONGEST - len(ending)]}{ending}", number + 1
    return free
