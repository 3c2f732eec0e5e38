"""Canonical JSON and hashes of it (docs/design.md, section 3).

Two values have the same canonical form exactly when the project treats them as the same value.
Keys are sorted, there is no white space, text is UTF-8 without normalization, and `1` and `1.0`
differ. What JSON cannot represent (NaN, infinities, lone surrogates) is refused, not converted.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

DIGEST_BYTES = 16


def dumps(value: Any) -> str:
    """Return the canonical JSON text of `value`. All keys must be strings.

    Raises:
        ValueError: if the value holds NaN, an infinity or a lone surrogate.
        TypeError: if the value holds something that is not JSON.
    """
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    text.encode("utf-8")  # a lone surrogate has no UTF-8 form: UnicodeEncodeError is a ValueError
    return text


def loads(text: str) -> Any:
    """Parse strict JSON.

    Raises:
        ValueError: on malformed JSON, NaN or infinity (also as an overflowing float), a repeated
            key, a lone surrogate, or nesting too deep to read.
    """
    try:
        value = decoder().decode(text)
        refuse_surrogates(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


@lru_cache(maxsize=1)
def decoder() -> json.JSONDecoder:
    """Return a JSON decoder that refuses repeated keys and numbers that are not finite."""
    return json.JSONDecoder(
        object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
    )


def refuse_surrogates(text: str) -> None:
    """Raise ValueError if JSON source `text` holds a lone surrogate, plain or escaped."""
    if "\\ud" in text or "\\uD" in text or not text.isascii():
        dumps(json.loads(text))


def digest(*parts: str) -> str:
    """Return the BLAKE2b-128 hex digest of the parts, each prefixed by its length in bytes."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for part in parts:
        data = part.encode("utf-8")
        hasher.update(f"{len(data)}:".encode())
        hasher.update(data)
    return hasher.hexdigest()


def digest_lines(lines: Iterable[str]) -> str:
    """Return the BLAKE2b-128 hex digest of many lines, in the order given."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES)
    for line in lines:
        hasher.update(line.encode("utf-8") + b"\n")
    return hasher.hexdigest()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return result


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not valid JSON")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is out of range")
    return value
