"""Hugging Face's hub: models and data sets that are named `hf:owner/name@revision`.

Only commands use the hub: `looptool setup`, pushes, and those that are given such a name. Stages
take what is in the hub's cache.
Tokens are those of `huggingface_hub`: HF_TOKEN, or `hf auth login`.
"""
