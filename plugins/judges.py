"""Your own judges, each a `Judge` of looptool.judging; docs/extending.md shows one.

params.yaml names one as `verify.judges: [plugins.judges:NAME]`. The stages that use judges
depend on this file.
"""
