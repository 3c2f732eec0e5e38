import ast
import re
from pathlib import Path

import pytest

from looptool.offline.rules import weights
from tests.offline.rules.reading import answer
from tests.offline.rules.table import STOCK, call, calls, said

FOLDER = Path(weights.__file__).parent
NAMES = [name for name in vars(weights) if name.isupper()]
# Modules that weigh evidence; the numbers in the others are facts, such as the hours of a day.
WEIGHING = [
    "answers",
    "cues",
    "evidence",
    "faults",
    "fitting",
    "foreign",
    "harmless",
    "judge",
    "relevance",
    "repeats",
    "values",
]


def test_every_weight_is_used_and_has_its_reason_beside_it() -> None:
    code = "".join(path.read_text("utf-8") for path in FOLDER.glob("*.py"))
    table = (FOLDER / "weights.py").read_text("utf-8")
    assert [name for name in NAMES if not re.search(rf"\bweights\.{name}\b", code)] == []
    bare = [n for n in NAMES if not re.search(rf"^{n}\b[^#\n]*=[^#\n]*  # \S", table, re.MULTILINE)]
    assert bare == []


@pytest.mark.parametrize("module", WEIGHING)
def test_no_weight_stands_outside_the_table(module: str) -> None:
    tree = ast.parse((FOLDER / f"{module}.py").read_text("utf-8"))
    literals = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    }
    # 30.0 keeps math.exp from overflowing; 0.5 takes a mean.
    assert literals <= {0.0, 0.5, 1.0, 30.0}


def test_a_changed_weight_changes_the_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    label = calls(call("share_price", symbol="HALI"))
    monkeypatch.setattr(weights, "USED", 2.0)
    assert answer([STOCK], said("Price of HALI?"), label).used == []


def test_thresholds_are_in_order() -> None:
    assert weights.TOLERATED < weights.DECISIVE <= weights.DECISIVE_CALL_OR_TEXT <= weights.GRAVE
    assert weights.UNSAID_TEXT < weights.UNSAID_EXACT < weights.SAID < weights.STANDS
    # A label that breaks its schema gives way even if some evidence speaks against the prediction.
    assert weights.SCHEMA_BROKEN - weights.TOLERATED >= weights.DECISIVE_CALL_OR_TEXT
