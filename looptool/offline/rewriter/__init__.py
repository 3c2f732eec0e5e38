"""The rule-based expander: it rewrites an error seed into new samples."""
