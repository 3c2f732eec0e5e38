"""Tasks around a run: create, set up and plan a project, unroll, serve, chat, run experiments."""
