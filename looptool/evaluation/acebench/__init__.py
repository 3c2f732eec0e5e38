"""ACEBench (arXiv 2501.12851), run from the user's own checkout."""
