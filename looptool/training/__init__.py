"""Training: a short SFT where the base cannot call tools yet (`warmup`), and GRPO (`grpo`).

Both train weights of the run's number type, with fp32 masters in the optimizer (`optimizer`): where
generation and matrix products want bf16, small updates still want fp32.
"""
