"""The history: `events` are written by the stages as they work, the other modules ask it."""
