"""English as it is written: numbers, dates, times and lists in words.

The grammar, the rewriter and planted noise write with these functions, which know nothing of tools
and samples. Judges do not import them: they read English on their own.
"""
