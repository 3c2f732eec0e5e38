"""`looptool review`: people decide on verdicts, in a local web page (docs/audit.md).

`verdicts` opens what is reviewed, an iteration or an audit. `decisions` keeps one file for each
reviewer. `app` serves `page.html`, which needs no network.
"""
