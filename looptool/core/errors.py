"""The two kinds of error that a user meets (DESIGN §6). A bad sample is neither: it is data."""

from __future__ import annotations


class LooptoolError(Exception):
    """Something that the user can mend; the message says what and how."""


class ConfigError(LooptoolError):
    """A parameter, file or command that breaks a rule; names file, field and rule."""


class TableError(LooptoolError):
    """A table that is missing, unreadable or breaks its schema."""
