"""Stand-ins that need no large model: they write, judge and rewrite by rules.

Each implements a protocol of the method (`synthesis.Author`, `judging.Judge`,
`expansion.Expander`) and is loaded by its name in params."""
