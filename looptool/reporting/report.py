"""`looptool report`: a self-contained HTML report on a run that needs no network."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from looptool.core import machine, runs
from looptool.core.errors import LooptoolError
from looptool.core.files import replacing
from looptool.core.params import FILE
from looptool.core.samples import CARRIED_ORIGINS
from looptool.evaluation import bench, by_tool
from looptool.lineage import views
from looptool.lineage.history import History, Life, lives, recorded_dataset_id
from looptool.lineage.revisions import Snapshot, open_revision, open_workspace
from looptool.lineage.views import connect, read_json
from looptool.reporting import judges, tracing

REPORT = Path("reports/report.html")
BROWSED = 600  # maximum samples in the sample browser
DISAGREEMENTS = 12
TOOLS = 60  # maximum rows of the table by tool
CURVES = ("reward", "zero_variance_share", "entropy", "completion_tokens", "loss")
PACKAGES = ("torch", "transformers", "trl", "polars", "duckdb", "dvc")


def write_report(
    compare: Sequence[str] = (), target: Path | str = REPORT, root: Path | str = "."
) -> Path:
    """Write the report on the run in the workspace, and return its path.

    Args:
        compare: revisions or experiments whose accuracy is shown for comparison.
        target: the output file, relative to `root`.
        root: the project's root.

    Raises:
        LooptoolError: if nothing has run yet, a revision cannot be read, or the file cannot be
            written.
    """
    snapshot = open_workspace(root)
    if not snapshot.iterations:
        raise LooptoolError("data/iterations: no data set yet; run `dvc repro` first")
    others = [open_revision(name, root) for name in compare]
    page = _render(collect(snapshot, others, Path(root)))
    target = Path(root, target)
    try:
        with replacing(target) as partial:
            partial.write_text(page, "utf-8")
    except OSError as error:
        raise LooptoolError(
            f"{target}: cannot be written: {error.strerror}; name another file with --output"
        ) from None
    return target


def collect(snapshot: Snapshot, others: Sequence[Snapshot], root: Path) -> dict[str, Any]:
    """Return the values for the page's template, with charts as Vega-Lite specifications."""
    from looptool.reporting import charts

    connection = connect(snapshot)
    specs: dict[str, Any] = {}

    def chart(section: str, title: str, drawn: Any) -> None:
        specs[f"chart-{len(specs)}"] = (section, title, drawn.to_dict())

    for name, rows in _accuracies([snapshot, *others]).items():
        chart("accuracy", name, charts.accuracy(rows))
    for iteration, rows in _capabilities(connection).items():
        chart("capability", f"models/{iteration}", charts.capability(rows))
    if shares := _label_shares(connection):
        chart("labels", "Wrong labels", charts.label_error(shares))
    chart("data", "Composition by origin", charts.composition(_composition(connection)))
    for iteration in snapshot.iterations[:-1]:
        if rows := _flows(connection, iteration):
            title = f"From D_{iteration} to D_{iteration + 1}"
            chart("flow", title, charts.flow(rows))
    for name, rows in _curves(snapshot).items():
        chart("training", name.replace("_", " "), charts.training(rows, name))
    if passed := _pass_rates(connection):
        chart("training", "Samples by pass rate", charts.pass_rates(passed))
    disagreements = _disagreements(connection)
    chosen, total = _browsed(connection, [row["sample_id"] for row in disagreements])
    return {
        "run": _run(snapshot, root),
        "stages": list(runs.timings(root).values()),
        "charts": specs,
        "tools": _by_tool(snapshot),
        "bench": bench.kept(snapshot),
        "labels": _label_table(connection),
        "verdicts": _verdicts(connection),
        **_reviewed(snapshot),
        "disagreements": disagreements,
        "samples": [_card(life) for life in lives(connection, snapshot, chosen)],
        "browsed": set(chosen),
        "total": total,
    }


def _render(content: Mapping[str, Any]) -> str:
    import altair
    import vl_convert
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(loader=PackageLoader("looptool.reporting", "."), autoescape=True)
    environment.filters["label"] = lambda tree: str(tree.label)
    environment.filters["style"] = lambda tree: str(getattr(tree.label, "style", ""))
    specs = json.dumps({name: spec for name, (_, _, spec) in content["charts"].items()})
    version = ".".join(altair.SCHEMA_VERSION.removeprefix("v").split(".")[:2])
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=version)
    return environment.get_template("report.html.jinja").render(
        **content,
        bundle=Markup(bundle.replace("</script", "<\\/script")),
        specs=Markup(specs.replace("<", "\\u003c")),
    )


def _accuracies(snapshots: Sequence[Snapshot]) -> dict[str, list[dict[str, Any]]]:
    """Return rows for `charts.accuracy`, by chart: held-out, BFCL mean, and their categories."""
    by_chart: dict[str, list[dict[str, Any]]] = {}
    for snapshot in snapshots:
        for name in sorted(snapshot.files):
            parts = name.split("/")
            if parts[:2] != ["metrics", "iterations"] or parts[3:] != ["eval.json"]:
                continue
            scores = read_json(snapshot, name)
            shared = {"run": snapshot.name or "this run", "iteration": int(parts[2])}
            measured = {"held-out": scores["heldout"], "BFCL mean": scores["bfcl"]}
            for benchmark, label in (("bfcl", "BFCL"), ("heldout", "held-out")):
                categories = scores[benchmark].get("categories") or {}
                measured |= {f"{label} {key}": part for key, part in categories.items()}
            for key, part in measured.items():
                if part.get("accuracy") is not None:
                    row = {name: part.get(name) for name in ("accuracy", "standard_error")}
                    by_chart.setdefault(key, []).append(shared | row)
    return by_chart


def _capabilities(connection: duckdb.DuckDBPyConnection) -> dict[int, list[dict[str, Any]]]:
    rows = views.rows(
        connection,
        "SELECT iteration, category, CASE WHEN valid THEN 'right' ELSE coalesce(error_type, "
        "'wrong') END AS outcome, count(*) AS count, "
        "count(*) / sum(count(*)) OVER (PARTITION BY iteration, category) AS share "
        "FROM evals WHERE benchmark = 'heldout' GROUP BY iteration, category, outcome "
        "ORDER BY iteration, outcome <> 'right', outcome, category",
    )
    return _grouped(rows, "iteration")


def _by_tool(snapshot: Snapshot) -> dict[str, Any]:
    """Return accuracy by tool and parameter on held-out samples, with one cell per iteration.

    Tools are sorted by the accuracy of the last model, the lowest first.
    """
    files = snapshot.tables("eval.parquet")
    if "data/heldout.parquet" not in snapshot.files or not files:
        return {"iterations": [], "rows": [], "total": 0}
    measured = by_tool.stored(snapshot=snapshot)
    cells: dict[tuple[str, str | None], dict[str, dict[str, Any]]] = {}
    for iteration, (_, table) in measured.items():
        for row in table.iter_rows(named=True):
            cells.setdefault((row["tool"], row["parameter"]), {})[iteration] = row
    last = [*measured][-1]
    tools = {
        tool: accuracies[last]
        for (tool, name), accuracies in cells.items()
        if not name and last in accuracies
    }
    chosen = sorted(tools, key=lambda tool: (tools[tool]["accuracy"], -tools[tool]["rows"], tool))
    rows = [
        {
            "tool": tool,
            "rows": tools[tool]["rows"],
            "cells": [cells[tool, None].get(j) for j in measured],
            "parameters": [
                {"name": name, "cells": [accuracies.get(j) for j in measured]}
                for (of, name), accuracies in sorted(
                    cells.items(), key=lambda item: item[0][1] or ""
                )
                if of == tool and name
            ],
        }
        for tool in chosen[:TOOLS]
    ]
    return {"iterations": list(measured), "rows": rows, "total": len(chosen)}


def _composition(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return views.rows(
        connection,
        "SELECT iteration, origin, count(*) AS count FROM samples GROUP BY ALL ORDER BY ALL",
    )


def _label_shares(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = {"label_error": "in D", "label_error_carried": "of what is carried over"}
    rows = views.rows(
        connection,
        "SELECT iteration, name AS what, value AS share FROM metrics WHERE stage = 'labels' "
        "AND name IN ('label_error', 'label_error_carried') ORDER BY ALL",
    )
    return [row | {"what": names[row["what"]]} for row in rows]


def _label_table(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    names = ("label_error", "label_error_carried", "corrected", "replaced_wrongly", "dropped",
             "missed", "memorised", "precision", "recall")  # fmt: skip
    rows = views.rows(
        connection,
        "SELECT iteration, name, value FROM metrics WHERE stage = 'labels' ORDER BY iteration",
    )
    table = []
    for iteration, metrics in _grouped(rows, "iteration").items():
        values = {row["name"]: row["value"] for row in metrics}
        table.append({"iteration": iteration} | {name: values.get(name) for name in names})
    return table


def _verdicts(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    return views.rows(
        connection,
        "SELECT iteration, judge, verdict, count(*) AS count, avg(consensus) AS consensus "
        "FROM verdicts GROUP BY ALL ORDER BY iteration, judge, count(*) DESC",
    )


def _reviewed(snapshot: Snapshot) -> dict[str, Any]:
    """Return what judges are worth where people decided; empty lists if nobody did."""
    found = list(judges.sources(snapshot))
    return {
        "judges": [row for each in found for row in judges.qualities(each)],
        "agreement": judges.agreements(judges.read_reviews(snapshot)),
        "review_costs": [judges.next_percent(each) for each in found],
    }


def _flows(connection: duckdb.DuckDBPyConnection, iteration: int) -> list[dict[str, Any]]:
    """Return the numbers of rows that go from each origin in D_j to each origin in D_{j+1}.

    Rows that leave D_j or are new in D_{j+1} are included.
    """
    rows = views.rows(
        connection,
        """
        WITH before AS (SELECT sample_id, origin FROM samples WHERE iteration = $1),
            after AS (SELECT sample_id, origin FROM samples WHERE iteration = $1 + 1),
            fate AS (
                SELECT sample_id, CASE WHEN bool_or(event = 'capped') THEN 'no room'
                    ELSE min(event) END AS fate
                FROM lineage WHERE iteration = $1 AND stage = 'expand'
                AND event IN ('mastered', 'dropped', 'capped') GROUP BY sample_id
            )
        SELECT
            coalesce(before.origin, CASE after.origin WHEN 'expanded' THEN 'expansions'
                ELSE 'fresh' END) AS source,
            coalesce(after.origin, fate.fate, 'left out') AS target,
            count(*) AS count
        FROM before FULL OUTER JOIN after ON before.sample_id = after.sample_id
        LEFT JOIN fate ON fate.sample_id = before.sample_id AND after.sample_id IS NULL
        GROUP BY ALL
        """,
        iteration,
    )
    gone = ("mastered", "dropped", "no room", "left out")
    order = ["seed", *CARRIED_ORIGINS, "expansions", "fresh", *gone]
    return sorted(rows, key=lambda row: (order.index(row["source"]), order.index(row["target"])))


def _curves(snapshot: Snapshot) -> dict[str, list[dict[str, Any]]]:
    """Return rows for `charts.training`, by metric. Steps are numbered through all iterations."""
    by_metric: dict[str, list[dict[str, Any]]] = {}
    done = 0
    for iteration in snapshot.iterations:
        name = f"metrics/iterations/{iteration}/steps.json"
        steps = read_json(snapshot, name) if name in snapshot.files else []
        for step in steps:
            done += 1
            for curve in CURVES:
                if curve in step:
                    row = {"step": done, "iteration": iteration, "value": step[curve]}
                    by_metric.setdefault(curve, []).append(row)
    return by_metric


def _pass_rates(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the numbers of samples by how many of the answers that training drew passed."""
    return views.rows(
        connection,
        """
        SELECT iteration, passed, count(*) AS count
        FROM (
            SELECT iteration, sample_id, CASE WHEN bool_and(reward >= 1) THEN 'all'
                WHEN bool_or(reward >= 1) THEN 'some' ELSE 'none' END AS passed
            FROM rollouts WHERE NOT anchored GROUP BY iteration, sample_id
        )
        GROUP BY iteration, passed ORDER BY iteration, passed = 'all', passed = 'some'
        """,
    )


def _disagreements(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    """Return the overruled labels with the largest effect on training.

    The effect is the number of iterations that trained on the label plus the number of its
    expansions in the data. Ties are ordered by perplexity, the lowest first.
    """
    return views.rows(
        connection,
        """
        WITH overruled AS (
            SELECT * FROM verdicts WHERE verdict IN ('LABEL_WRONG', 'BOTH_WRONG')
        ), trained AS (
            SELECT o.iteration, o.sample_id, count(*) AS trained FROM overruled o
            JOIN samples s ON s.sample_id = o.sample_id AND s.iteration <= o.iteration
                AND s.label_id = o.old_label_id GROUP BY ALL
        ), grown AS (
            SELECT o.iteration, o.sample_id, count(DISTINCT s.sample_id) AS expansions
            FROM overruled o JOIN samples s ON s.parent_id = o.sample_id
                AND s.born_iteration < o.iteration GROUP BY ALL
        )
        SELECT o.iteration, o.sample_id, o.verdict, o.judge, o.rationale, o.consensus,
            trained.trained, coalesce(grown.expansions, 0) AS expansions, probes.ppl,
            probes.prediction, samples.label
        FROM overruled o
        JOIN trained USING (iteration, sample_id)
        JOIN probes USING (iteration, sample_id)
        JOIN samples USING (iteration, sample_id)
        LEFT JOIN grown USING (iteration, sample_id)
        ORDER BY trained + expansions DESC, probes.ppl, o.sample_id LIMIT $1
        """,
        DISAGREEMENTS,
    )


def _browsed(connection: duckdb.DuckDBPyConnection, first: Sequence[str]) -> tuple[list[str], int]:
    """Choose the samples to browse. Return their ids and the total number of samples.

    `first` comes first, then in turn samples with a changed or dropped label, expansions, and
    others, each ordered by id. Parents are added while there is room.
    """
    total = connection.execute("SELECT count(DISTINCT sample_id) FROM samples").fetchall()[0][0]
    rows = connection.execute(
        """
        WITH changed AS (
            SELECT DISTINCT sample_id FROM lineage
            WHERE event IN ('corrected', 'alternative', 'dropped')
        ), ranked AS (
            SELECT sample_id, max(origin = 'expanded') AS expanded,
                any_value(parent_id) AS parent_id
            FROM samples GROUP BY sample_id
        )
        SELECT sample_id, parent_id FROM (
            SELECT ranked.*, CASE WHEN changed.sample_id IS NOT NULL THEN 0
                WHEN expanded THEN 1 ELSE 2 END AS kind,
                row_number() OVER (PARTITION BY kind ORDER BY ranked.sample_id) AS place
            FROM ranked LEFT JOIN changed USING (sample_id)
        ) ORDER BY place, kind LIMIT $1
        """,
        [BROWSED],
    ).fetchall()
    chosen = dict.fromkeys(first)
    for sample_id, parent_id in rows:
        chosen |= dict.fromkeys([sample_id] if parent_id is None else [sample_id, parent_id])
    return list(chosen)[:BROWSED], total


def _card(life: Life) -> dict[str, Any]:
    events = dict.fromkeys(event.event for step in life.steps for event in step.events)
    said = [message for message in life.messages if message["role"] == "user"]
    return {
        "sample_id": life.sample_id,
        "category": next((s.sample["category"] for s in life.steps if s.sample), ""),
        "events": [name for name in events if name not in ("born", "kept")],
        "user": (said[-1].get("content") or "") if said else "",
        "parent_id": life.parent_id,
        "tree": tracing.tree(History(life.sample_id, [life], [])),
    }


def _run(snapshot: Snapshot, root: Path) -> dict[str, Any]:
    params = root / FILE
    memory = machine.memory_bytes()
    data = [
        {
            "iteration": iteration,
            "dataset_id": recorded_dataset_id(snapshot, iteration),
            "model": snapshot.hashes.get(f"models/{iteration}"),
        }
        for iteration in (0, *snapshot.iterations)
    ]
    return {
        "commit": _commit(root),
        "params": params.read_text("utf-8") if params.exists() else "",
        "data": data,
        "machine": f"{os.cpu_count()} cores, {memory / 2**30:.0f} GiB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}",
        "packages": [f"{name} {importlib.metadata.version(name)}" for name in PACKAGES],
    }


def _commit(root: Path) -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, cwd=root, text=True, capture_output=True)
    return done.stdout.strip() or "unknown"


def _grouped(rows: Sequence[dict[str, Any]], key: str) -> dict[int, list[dict[str, Any]]]:
    groups: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[key], []).append(row)
    return groups
