"""BFCL-v3: all seventeen categories, scored by the official checkers of `bfcl-eval` 2025.7.9.

`rows` has the questions, `scoring` says of single answers and `dialogues` of whole conversations
whether they are right, `overall` weighs categories as the leaderboard does. Each verdict comes
twice: `valid` is the official one, `strict` ours on top of it.
"""
