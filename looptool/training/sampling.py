"""Draws the answers of a rollout: by this process's own decoding loop, or by vLLM."""

from __future__ import annotations

from typing import Any

from looptool.engines import Sampling
from looptool.engines.transformers import Tokens, decode, stop_ids

STEPS_APART = 1_000_003  # distance between the seeds of two neighbouring processes


def draw(trainer: Any, prompts: list[list[int]]) -> list[Tokens]:
    """Draw `num_generations` answers to each prompt from the policy that is trained.

    Args:
        trainer: a `LoopTrainer`.
        prompts: token ids of each prompt of this process.

    Returns:
        The answers, prompt by prompt.
    """
    return (_by_vllm if trainer.use_vllm else _by_decode)(trainer, prompts)


def _by_decode(trainer: Any, prompts: list[list[int]]) -> list[Tokens]:
    """Draw with the weights that are trained.

    The draws depend on the seed, the step and the process, so a resumed run repeats them.
    """
    params = trainer.params
    sampling = Sampling(
        params.max_new_tokens,
        params.temperature,
        params.top_p,
        seed=trainer.args.seed
        + trainer.state.global_step
        + STEPS_APART * trainer.accelerator.process_index,
    )
    model = trainer.accelerator.unwrap_model(trainer.model)
    model.eval()
    drawn = decode(
        model, trainer.processing_class, prompts, sampling, copies=trainer.num_generations
    )
    model.train()
    return drawn


def _by_vllm(trainer: Any, prompts: list[list[int]]) -> list[Tokens]:
    """Draw with vLLM, to which TRL has just copied the trained weights.

    TRL seeds vLLM once, so a resumed run draws other answers than an uninterrupted one.
    """
    size = trainer.num_generations
    repeated = [prompt for prompt in prompts for _ in range(size)]
    _, completions, logprobs, _ = trainer.vllm_generation.generate(repeated, None, size)
    ends = stop_ids(trainer.accelerator.unwrap_model(trainer.model), trainer.processing_class)
    return [
        Tokens(list(ids), [step[0] for step in steps], bool(ids) and ids[-1] in ends)
        for ids, steps in zip(completions, logprobs, strict=True)
    ]
