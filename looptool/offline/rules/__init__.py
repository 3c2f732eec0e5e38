"""The rule-based judge."""
