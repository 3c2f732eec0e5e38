"""Errors that a user can fix (docs/design.md, section 6). A bad sample is data, not an error."""

from __future__ import annotations


class LooptoolError(Exception):
    """An error that the user can fix. The message says what is wrong and how to fix it."""


class ConfigError(LooptoolError):
    """A parameter, file or command breaks a rule. The message names file, field and rule."""


class TableError(LooptoolError):
    """A table is missing, unreadable or breaks its schema."""
