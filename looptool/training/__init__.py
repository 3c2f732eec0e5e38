"""Training: a short SFT where the base cannot call tools yet (`warmup`), and GRPO (`grpo`).

Both run TRL's trainers on bf16 weights with fp32 master copies in the optimizer (`optimizer`):
generation and matrix products want bf16, small updates want fp32.
"""
