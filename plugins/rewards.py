"""Your own rewards, each a `Reward` of looptool.training.rewards; docs/extending.md shows one.

params.yaml names one as `train.reward: plugins.rewards:NAME`. The stages that use rewards
depend on this file.
"""
