"""Your own expanders, each an `Expander` of looptool.expansion; docs/extending.md shows one.

params.yaml names one as `expand.expander: plugins.expanders:NAME`. The stages that use expanders
depend on this file.
"""
