"""What is done around a run: make a project, set it up, plan, unroll, serve, chat, run trials."""
