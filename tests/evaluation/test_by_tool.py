"""Accuracy by tool and parameter, of stored answers and of requests that people wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from looptool.core import tables
from looptool.core.errors import ConfigError
from looptool.evaluation import heldout, own_tools
from tests.answers import said

TOOLS = [
    {
        "name": name,
        "description": f"{name.capitalize()}s something",
        "parameters": {
            "type": "object",
            "properties": {"n": {"type": "integer"}, "unit": {"type": "string", "default": "m"}},
            "required": ["n"],
        },
    }
    for name in ("move", "lift", "turn", "push", "pull")
]


def request(text: str, *calls: tuple[str, dict]) -> dict:
    return {"request": text, "calls": [{"name": n, "arguments": a} for n, a in calls]}


def written(folder: Path, *rows: object) -> Path:
    path = folder / "requests.jsonl"
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def answer(*calls: tuple[str, dict]) -> str:
    return "\n".join(
        f"<tool_call>\n{json.dumps({'name': n, 'arguments': a})}\n</tool_call>" for n, a in calls
    )


def test_tools_and_parameters_are_counted_apart(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        request("Move 3", ("move", {"n": 3})),
        request("Move 4 feet", ("move", {"n": 4, "unit": "feet"})),
        request("Lift 5 and 6", ("lift", {"n": 5}), ("lift", {"n": 6})),
        request("Sing"),
    )
    samples = own_tools.read_requests(path, TOOLS)
    predictions = [
        answer(("move", {"n": 3, "unit": "m"})),  # the default, said
        answer(("move", {"n": 5, "unit": "feet"})),
        answer(("lift", {"n": 6}), ("lift", {"n": 5})),
        answer(("turn", {"n": 1})),
    ]
    results = heldout.score(samples, [said(text) for text in predictions], "schema")
    found = {
        (row["tool"], row["parameter"]): (row["rows"], row["accuracy"])
        for row in own_tools.by_tool(samples, results).iter_rows(named=True)
    }
    assert found == {
        ("move", None): (2, 0.5),
        ("move", "n"): (2, 0.5),
        ("move", "unit"): (1, 1.0),
        ("lift", None): (1, 1.0),
        ("lift", "n"): (2, 1.0),
        (own_tools.NO_TOOL, None): (1, 0.0),
    }
    older = tmp_path / "eval.parquet"  # as revisions wrote it that stored the text alone
    results.drop("answer").write_parquet(older)
    again = own_tools.by_tool(samples, tables.read(older, tables.Eval))
    assert again.equals(own_tools.by_tool(samples, results))


def test_what_is_offered_holds_what_is_needed_and_depends_on_the_line_alone(tmp_path: Path) -> None:
    rows = [request(f"Move {n}", ("move", {"n": n})) for n in range(4)]
    samples = own_tools.read_requests(written(tmp_path, *rows), TOOLS)
    offered = [[tool["name"] for tool in json.loads(text)] for text in samples["tools"]]
    assert all(len(names) == own_tools.OFFERED and "move" in names for names in offered)
    again = own_tools.read_requests(written(tmp_path, *rows), TOOLS)
    assert again.equals(samples)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "line 2: Expecting"),
        ('{"request": "a"}', "line 2: lacks 'calls'"),
        (request("Fly", ("fly", {})), "line 2: fly: no tool is called 'fly'"),
        (request("Move", ("move", {})), "line 2: move: 'n' is a required property"),
        (request(" "), "line 2: request: must be a non-empty string"),
        (request("Move 1", ("move", {"n": 1})), "twice"),
    ],
)
def test_a_broken_request_is_told_by_its_line(tmp_path: Path, row: object, told: str) -> None:
    path = written(tmp_path, request("Move 1", ("move", {"n": 1})), row)
    if told == "twice":  # two orders of the tools may differ by line
        path = written(tmp_path, *[request("Move 1", ("move", {"n": 1}))] * 30)
    with pytest.raises(ConfigError, match=r"requests\.jsonl") as error:
        own_tools.read_requests(path, TOOLS)
    assert told in str(error.value)
