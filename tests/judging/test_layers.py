import ast
from pathlib import Path

import looptool.judging

ABOVE = ("synthesis", "expansion", "training", "reporting", "cli")


def test_judges_know_nothing_of_who_writes_the_samples() -> None:
    files = sorted(Path(looptool.judging.__file__).parent.glob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                assert not name.startswith(tuple(f"looptool.{layer}" for layer in ABOVE)), file
