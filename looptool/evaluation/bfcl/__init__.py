"""BFCL-v3: all seventeen categories, scored by the official checkers of `bfcl-eval` 2025.7.9.

`rows` reads the questions, `scoring` scores single answers, `dialogues` plays and scores the
multi-turn categories, and `overall` computes the leaderboard's averages. There are two verdicts:
`valid` is the official one, and `strict` adds conditions of ours to it.
"""
