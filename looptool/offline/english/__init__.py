"""English as the grammar and the rewriter write it: numbers, values and dates in words."""
