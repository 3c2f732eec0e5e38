"""A trainer callback that reports each step to a stage's progress bar and prints nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from transformers import TrainerCallback


class StepCallback(TrainerCallback):
    """Calls `on_progress(step)` at the end of every optimizer step."""

    def __init__(self, on_progress: Callable[[int], Any]) -> None:
        self.on_progress = on_progress

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.on_progress(state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step >= state.max_steps:
            # Resumed from a checkpoint of the last step, the trainer would do one step too many.
            control.should_save = False
        self.on_progress(state.global_step)
