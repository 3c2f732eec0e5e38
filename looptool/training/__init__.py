"""Training: `warmup` (a short SFT for a base model that cannot call tools yet) and `grpo` (GRPO).

Both train weights of the run's number type and keep fp32 master copies in the optimizer
(`optimizer`): bf16 makes generation and matrix products fast, but small updates need fp32.
"""
