"""The nouns, and one run of a stage. Everything else builds on these, and they on nothing else."""
