"""Evaluation of models on the held-out split, BFCL and ACEBench."""
