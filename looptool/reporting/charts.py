"""The charts of the report, as Altair charts that fit the width of their container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

Rows = Sequence[Mapping[str, Any]]
HEIGHT = 180
_STEPS = 24  # segments of a ribbon's curve
_GAP = 0.045  # between two nodes on one side, as a share of all rows, to make room for their names
# The colour of each origin and of each way out of the data, the same in all charts.
_COLOURS = alt.Scale(
    domain=["seed", "error_seed", "corrected", "alternative", "undecided", "high_ppl", "expanded",
            "mastered", "dropped", "no room", "left out"],
    range=["#4c78a8", "#e45756", "#f58518", "#b279a2", "#d6a5c9", "#eeca3b", "#54a24b", "#72b7b2",
           "#9d755d", "#bab0ac", "#79706e"],
)  # fmt: skip


def accuracy(rows: Rows) -> alt.LayerChart:
    """Draw accuracy by iteration with standard errors, one line per run.

    Args:
        rows: run, iteration, accuracy and its standard_error, both from 0 to 1.
    """
    data = [
        {**row, "low": row["accuracy"] - (row["standard_error"] or 0),
         "high": row["accuracy"] + (row["standard_error"] or 0)}
        for row in rows
    ]  # fmt: skip
    base = alt.Chart(_data(data)).encode(
        x=alt.X("iteration:O", title="model", axis=alt.Axis(labelAngle=0)),
        color=alt.Color("run:N", title=None, legend=_legend(data, "run")),
    )
    y = alt.Y("accuracy:Q", title="accuracy", axis=alt.Axis(format="%"))
    line = base.mark_line(point=True).encode(
        y=y, tooltip=["run:N", "iteration:O", alt.Tooltip("accuracy:Q", format=".1%")]
    )
    spread = base.mark_rule(opacity=0.5).encode(
        y=alt.Y("low:Q", title="accuracy"), y2=alt.Y2("high:Q")
    )
    return _sized(alt.layer(spread, line))


def capability(rows: Rows) -> alt.LayerChart:
    """Draw a heat map of one model's answers: category × outcome, coloured by share of a category.

    Args:
        rows: category, outcome, count, share.
    """
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("outcome:N", title=None, sort=None, axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("category:N", title=None),
    )
    cells = base.mark_rect().encode(
        color=alt.Color("share:Q", title=None, legend=None, scale=alt.Scale(scheme="blues",
                        domain=[0, 1])),
        tooltip=["category:N", "outcome:N", "count:Q", alt.Tooltip("share:Q", format=".0%")],
    )  # fmt: skip
    numbers = base.mark_text(fontSize=11).encode(
        text="count:Q",
        color=alt.condition("datum.share > 0.5", alt.value("white"), alt.value("black")),
    )
    return _sized(alt.layer(cells, numbers), 240)


def composition(rows: Rows) -> alt.Chart:
    """Draw D_j by origin. Args: rows of iteration, origin, count."""
    return _sized(
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("iteration:O", title="D", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("count:Q", title="samples"),
            color=alt.Color("origin:N", title=None, scale=_COLOURS, legend=_present(rows)),
            tooltip=["iteration:O", "origin:N", "count:Q"],
        ),
        HEIGHT + 40,
    )


def label_error(rows: Rows) -> alt.Chart:
    """Draw the share of wrong labels. Args: rows of iteration, what, share."""
    return _sized(
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("iteration:O", title="D", axis=alt.Axis(labelAngle=0)),
            xOffset=alt.XOffset("what:N", sort=None),
            y=alt.Y("share:Q", title="wrong labels", axis=alt.Axis(format="%")),
            color=alt.Color("what:N", title=None, sort=None),
            tooltip=["iteration:O", "what:N", alt.Tooltip("share:Q", format=".1%")],
        ),
        HEIGHT + 40,
    )


def training(rows: Rows, name: str) -> alt.Chart:
    """Draw one training metric over all steps. Args: rows of step, iteration, value."""
    return _sized(
        alt.Chart(_data(rows))
        .mark_line(point=True)
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y("value:Q", title=name.replace("_", " "), scale=alt.Scale(zero=False)),
            color=alt.Color("iteration:N", title="iteration", legend=_legend(rows, "iteration")),
            tooltip=["step:Q", "iteration:N", "value:Q"],
        )
    )


def pass_rates(rows: Rows) -> alt.Chart:
    """Draw how many samples never, sometimes and always passed. Args: iteration, passed, count."""
    return _sized(
        alt.Chart(_data(rows))
        .mark_bar()
        .encode(
            x=alt.X("iteration:O", title="D", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("count:Q", title="samples"),
            color=alt.Color("passed:N", title="answers that passed", sort=None),
            tooltip=["iteration:O", "passed:N", "count:Q"],
        )
    )


def flow(rows: Rows) -> alt.LayerChart:
    """Draw an alluvial chart of how samples move from D_j to D_{j+1}.

    Args:
        rows: source, target and count. Sources and targets are drawn in order of first occurrence.
    """
    left, right = _stack(rows, "source"), _stack(rows, "target")
    offsets = {("source", name): low for name, (low, _) in left.items()}
    offsets |= {("target", name): low for name, (low, _) in right.items()}
    points = []
    for number, row in enumerate(rows):
        starts = {side: offsets[side, row[side]] for side in ("source", "target")}
        for side in starts:
            offsets[side, row[side]] += row["count"]
        for step in range(_STEPS + 1):
            x = step / _STEPS
            y = starts["source"] + (starts["target"] - starts["source"]) * x * x * (3 - 2 * x)
            points.append({**row, "flow": number, "x": x, "low": y, "high": y + row["count"]})
    hidden = alt.Axis(labels=False, ticks=False, grid=False, domain=False)
    ribbons = (
        alt.Chart(_data(points))
        .mark_area(opacity=0.55)
        .encode(
            x=alt.X("x:Q", title=None, axis=hidden, scale=alt.Scale(domain=[-0.45, 1.45])),
            y=alt.Y("low:Q", title=None, axis=hidden, scale=alt.Scale(reverse=True, nice=False)),
            y2=alt.Y2("high:Q"),
            detail="flow:N",
            color=alt.Color("target:N", legend=None, scale=_COLOURS),
            tooltip=["source:N", "target:N", "count:Q"],
        )
    )
    names = [
        {"x": x, "y": (low + high) / 2, "name": f"{name} {round(high - low):,}"}
        for x, side in ((0, left), (1, right))
        for name, (low, high) in side.items()
    ]
    text = alt.Chart(_data(names)).encode(x="x:Q", y="y:Q", text="name:N")
    labels = [
        text.transform_filter("datum.x == 0").mark_text(align="right", dx=-4),
        text.transform_filter("datum.x == 1").mark_text(align="left", dx=4),
    ]
    return _sized(alt.layer(ribbons, *labels), 340).configure_view(stroke=None)


def _stack(rows: Rows, side: str) -> dict[str, tuple[float, float]]:
    """Return the (start, end) of each node on one side, in rows."""
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row[side]] = sizes.get(row[side], 0) + row["count"]
    gap, place, nodes = sum(sizes.values()) * _GAP, 0.0, {}
    for name, size in sizes.items():
        nodes[name] = (place, place + size)
        place += size + gap
    return nodes


def _present(rows: Rows) -> alt.Legend:
    """Return a legend of only the origins in the data."""
    return alt.Legend(values=sorted({row["origin"] for row in rows}))


def _data(rows: Rows) -> Any:
    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]


def _legend(rows: Rows, name: str) -> alt.Legend | None:
    return alt.Legend(orient="bottom", columns=1) if len({row[name] for row in rows}) > 1 else None


def _sized(chart: Any, height: int = HEIGHT) -> Any:
    return chart.properties(width="container", height=height)
