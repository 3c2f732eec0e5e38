"""The status of a run: what is done, running or stale, and what `dvc repro` would run next."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from looptool.core import runs
from looptool.core.errors import ConfigError, LooptoolError

STAGES = ("warmup", "generate", "train", "eval", "probe", "verify", "expand")
SHOWN_CHANGES = 3  # changes to show per stage; --json shows all
_LABEL = re.compile(r"(\w+)(?:@(\d+))?")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of dvc.yaml.

    Attributes:
        label: the name in DVC's notation, such as `probe@1`.
        state: `done`, `running`, `stale` (its inputs, params or code changed), `new` (never run),
            or `waiting` (a stage that it depends on is not done).
        why: what changed, one line per change.
        seconds: the duration of the latest run; None if there is no timing.
    """

    label: str
    state: str
    why: tuple[str, ...]
    seconds: float | None


def read_status(root: Path | str = ".") -> list[Stage]:
    """Return all stages in the order in which `dvc repro` runs them.

    Raises:
        ConfigError: if `root` is not the root of a project.
        LooptoolError: if DVC cannot read the project.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo
    from dvc.repo.reproduce import plan_repro

    if not Path(root, "dvc.yaml").exists():
        raise ConfigError(f"{Path(root, 'dvc.yaml')}: does not exist; run from the project's root")
    # `dvc status --json` does not tell the order of stages; `dvc dag` and `dvc repro --dry` do, but
    # all three take four times as long as this.
    running, timed = set(runs.running()), runs.timings(root)
    try:
        with Repo(str(root)) as repo:
            changed = {} if running else repo.status()
            graph = repo.index.graph
            order = [stage for stage in plan_repro(graph) if not stage.is_data_source]
            needs = {s.addressing: {n.addressing for n in graph.successors(s)} for s in order}
            known = {s.addressing for s in order if all(out.hash_info for out in s.outs)}
    except DvcException as error:
        raise LooptoolError(f"DVC cannot read the project: {error}") from None
    result: list[Stage] = []
    open_stages: set[str] = set()
    for label in needs:
        why = tuple(_reasons(changed.get(label, [])))
        state = "done"
        if label in running:
            state = "running"
        elif label not in known:
            state, why = ("waiting" if needs[label] & open_stages else "new"), ()
        elif needs[label] & open_stages:
            state = "stale" if why else "waiting"
        elif why:
            state = "stale"
        if state != "done":
            open_stages.add(label)
        seconds = timed[label]["seconds"] if label in timed else None
        result.append(Stage(label, state, why, seconds))
    return result


def show(stages: list[Stage], console: Console, root: Path | str = ".") -> None:
    """Print a table of iterations and stages, sizes, and what runs next and why."""
    states: dict[tuple[str, int], Stage] = {}
    single = []
    for stage in stages:
        match = _LABEL.fullmatch(stage.label)
        if match and match[2] is not None:
            states[match[1], int(match[2])] = stage
        elif stage.label == "warmup":
            states["warmup", 0] = stage
        else:
            single.append(stage)
    table = Table(title="iterations")
    for name in ("j", *STAGES, "data", "model"):
        table.add_column(name, justify="left" if name in STAGES else "right")
    for iteration in sorted({iteration for _, iteration in states}):
        table.add_row(
            str(iteration),
            *(_cell(states.get((name, iteration))) for name in STAGES),
            _size(Path(root, f"data/iterations/{iteration}")),
            _size(Path(root, f"models/{iteration}")),
        )
    console.print(table)
    console.print(", ".join(f"{stage.label} {_cell(stage)}" for stage in single))
    total = sum(stage.seconds or 0 for stage in stages) / 60
    console.print(f"{total:.1f} minutes in the latest runs of all stages")
    for line in next_steps(stages):
        console.print(line, markup=False)


def next_steps(stages: list[Stage]) -> Iterator[str]:
    """Yield lines of text on what `dvc repro` would run next, and why."""
    active = [stage.label for stage in stages if stage.state == "running"]
    if active:
        yield f"running: {', '.join(active)}; changes are not checked during a run"
        return
    todo = [stage for stage in stages if stage.state != "done"]
    if not todo:
        yield "`dvc repro` has nothing to do"
        return
    first = [stage for stage in todo if stage.state in ("stale", "new")]
    yield f"`dvc repro` would run next: {first[0].label if first else todo[0].label}"
    for stage in first:
        more = len(stage.why) - SHOWN_CHANGES
        why = [*stage.why[:SHOWN_CHANGES], *([f"and {more} more"] if more > 0 else [])]
        yield f"  {stage.label}: {'; '.join(why) or 'never run'}"
    waiting = [stage.label for stage in todo if stage.state == "waiting"]
    if waiting:
        yield f"  then, if their inputs change: {', '.join(waiting)}"


def to_json(stages: list[Stage]) -> list[dict[str, Any]]:
    """Return the stages as JSON objects."""
    return [
        {"stage": s.label, "state": s.state, "why": list(s.why), "seconds": s.seconds}
        for s in stages
    ]


def _reasons(entries: list[Any]) -> Iterator[str]:
    """Yield one line for each change that DVC found."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry
            continue
        for kind, changes in entry.items():
            for path, change in changes.items():
                if isinstance(change, Mapping):
                    fields = [f"{name} {status}" for name, status in change.items()]
                    yield f"{path}: {', '.join(fields)}"
                else:
                    yield f"{path} {'is ' if kind == 'changed outs' else ''}{change}"


def _cell(stage: Stage | None) -> str:
    if stage is None:
        return ""
    colour = {"done": "green", "running": "cyan", "stale": "yellow"}.get(stage.state, "dim")
    took = (
        "" if stage.seconds is None or stage.state != "done" else f" {stage.seconds / 60:.1f} min"
    )
    return f"[{colour}]{stage.state}[/]{took}"


def _size(folder: Path) -> str:
    if not folder.is_dir():
        return "–"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{size / 1e6:.1f} MB"
