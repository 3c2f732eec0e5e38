"""Benchmarks that score a model's answers, and the check that no training text comes from them."""
