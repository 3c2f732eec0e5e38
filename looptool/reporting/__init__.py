"""Output for people: label quality against the truth, summaries, reports, cards, tables."""
