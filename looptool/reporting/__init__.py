"""What people look at: label quality against the truth, summaries, results."""
