"""The warm start: a LoRA adapter for the embedded model, with which it calls tools.

The paper starts its loop from a model that calls tools. SmolLM2-135M does not. `looptool
warm-start` trains an adapter for it once, on samples of the grammar author alone, and
`looptool setup` merges the adapter that the package ships into `models/base`.

`recipe` reads configs/warm-start.yaml, `samples` makes the data, `training` trains, `scores`
evaluates along the way, `card` describes the result, and `merging` makes the model from it.
"""
