"""Your own authors, each an `Author` of looptool.synthesis; docs/extending.md shows one.

params.yaml names one as `generate.author: plugins.authors:NAME`. The stages that use authors
depend on this file.
"""
