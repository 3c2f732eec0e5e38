"""Queries of the history that the stages write (see `core.events`): trace, diff, SQL, checks."""
