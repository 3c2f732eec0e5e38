"""ACEBench (arXiv 2501.12851), run on the user's own checkout of it."""
