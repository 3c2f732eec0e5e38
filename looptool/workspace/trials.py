"""The long experiment: arms with equal steps, completions and seeds, then the ablations.

Every run is one `dvc exp run --temp`. What two runs share (models/0, the held-out split, a first
iteration) is computed once and then taken from DVC's run cache, so it counts in the minutes of only
one of them. A stopped run resumes in the same way. Runs differ in the random seeds of generate,
train and expand; models/0 and the held-out split are the same for all. Seed 0 uses the seeds of
params.yaml, so a model trained by `make run` is not trained again.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML

from looptool.core import params, runs
from looptool.core.errors import ConfigError, LooptoolError
from looptool.core.fingerprints import hash_path
from looptool.evaluation import scores
from looptool.terminal import percent
from looptool.workspace import unroll as unrolling

CONFIG = Path("configs/results.yaml")
STATE = Path(".dvc/tmp/looptool-results.json")
JSON, PAGE = Path("docs/results.json"), Path("docs/results.md")
BEGIN, END = "<!-- results:begin -->", "<!-- results:end -->"


@dataclass(frozen=True, slots=True)
class Arm:
    """One run: an arm or ablation with one seed."""

    name: str
    seed: int
    changes: Mapping[str, Any]

    @property
    def experiment(self) -> str:
        return f"results-{self.name}-s{self.seed}"


def run_results(names: Sequence[str] = ()) -> None:
    """Run all unfinished runs, at most for the configured hours, then write the results.

    Args:
        names: the arms and ablations to run; empty for all.

    Raises:
        ConfigError: if there is no arm or ablation of that name.
        LooptoolError: if a run fails. Runs that finished before it are kept.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the run is stopped too
    config = YAML(typ="safe", pure=True).load(CONFIG.read_text("utf-8"))
    known = [*config["arms"], *config["ablations"]]
    if unknown := set(names) - set(known):
        raise ConfigError(
            f"{CONFIG}: no arm or ablation {min(unknown)!r}; there are {', '.join(known)}"
        )
    end = time.monotonic() + 3600 * config["hours"]
    state = _state()
    for arm in plan(config):
        if _done(state, arm, config) or (names and arm.name not in names):
            continue
        if time.monotonic() > end - 60 or not _run(arm, config, state, end):
            print("results: time is up; `make results` resumes from here", file=sys.stderr)
            break
    write(config, state)


def plan(config: Mapping[str, Any]) -> Iterator[Arm]:
    """Yield all runs, the arms seed by seed, so that an unfinished table is still a fair one."""
    for seed in config["seeds"]:
        for name, changes in config["arms"].items():
            yield Arm(name, seed, changes)
    for name, changes in config["ablations"].items():
        yield Arm(name, config["seeds"][0], changes)


def _run(arm: Arm, config: Mapping[str, Any], state: dict[str, Any], end: float) -> bool:
    """Run one arm. Return False if the time ran out before it finished."""
    wanted = _wanted(arm, config)  # before the run, which works on a copy of the current files
    changes = {**config["set"], **arm.changes}
    base = params.load()
    seeds = {"generate": base.generate.seed, "train": base.train.seed, "expand": base.expand.seed}
    changes |= {f"{stage}.seed": seed + 1000 * arm.seed for stage, seed in seeds.items()}
    dvc = [sys.executable, "-m", "dvc", "exp"]
    subprocess.run([*dvc, "remove", "--quiet", arm.experiment], capture_output=True)
    command = [*dvc, "run", "--temp", "--name", arm.experiment]
    for value in unrolling.overrides(config["iterations"]):
        command += ["--set-param", value]
    for name, value in changes.items():
        command += ["--set-param", f"{name}={json.dumps(value)}"]
    print(f"results: {arm.experiment}", file=sys.stderr, flush=True)
    start = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True)
    try:
        process.wait(timeout=max(1.0, end - start))
    except BaseException as stopped:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        _count(state, arm, wanted, start, done=False)
        if isinstance(stopped, subprocess.TimeoutExpired):
            return False
        raise
    if process.returncode:
        raise LooptoolError(f"results: {arm.experiment} failed; see its message above")
    _count(state, arm, wanted, start, done=True)
    return True


def _wanted(arm: Arm, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything that a run's figures depend on. If it changes, the run is repeated."""
    inputs = {path: hash_path(path) for path in ("looptool", "stages", "dvc.yaml", "params.yaml")}
    return {"iterations": config["iterations"], **config["set"], **arm.changes, **inputs}


def _done(state: Mapping[str, Any], arm: Arm, config: Mapping[str, Any]) -> bool:
    entry = state.get(arm.experiment, {})
    return bool(entry.get("done")) and entry["of"] == _wanted(arm, config)


def _count(
    state: dict[str, Any], arm: Arm, wanted: Mapping[str, Any], start: float, done: bool
) -> None:
    entry = state.get(arm.experiment, {})
    before = entry["minutes"] if entry.get("of") == wanted else 0.0
    minutes = round(before + (time.monotonic() - start) / 60, 1)
    state[arm.experiment] = {"done": done, "minutes": minutes, "of": wanted}
    runs.write_json(STATE, state)


def _state() -> dict[str, Any]:
    return json.loads(STATE.read_text("utf-8")) if STATE.exists() else {}


def write(config: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Write docs/results.json, and the tables between the marks in docs/results.md."""
    evals = {}
    measured = []
    for arm in plan(config):
        if _done(state, arm, config):
            frames = [_eval(arm.experiment, j) for j in range(config["iterations"] + 1)]
            evals[arm.experiment] = frames
            measured.append(_measured(arm, frames, state[arm.experiment]["minutes"]))
    comparisons = list(_comparisons(config, evals))
    others = json.loads(JSON.read_text("utf-8")) if JSON.exists() else {}
    results = {"config": config, "runs": measured, "comparisons": comparisons}
    runs.write_json(JSON, {**others, **results})
    if PAGE.exists() and BEGIN in (page := PAGE.read_text("utf-8")):
        before, rest = page.split(BEGIN, 1)
        tables = _tables(measured, comparisons)
        PAGE.write_text(f"{before}{BEGIN}\n\n{tables}\n{END}{rest.split(END, 1)[1]}", "utf-8")


def _eval(experiment: str, iteration: int) -> pl.DataFrame:
    from dvc.api import DVCFileSystem

    filesystem = DVCFileSystem(rev=experiment)
    with filesystem.open(f"data/iterations/{iteration}/eval.parquet", "rb") as file:
        return pl.read_parquet(io.BytesIO(file.read()))


def _json(experiment: str, path: str) -> Any:
    from dvc.api import DVCFileSystem

    with DVCFileSystem(rev=experiment).open(path, "r") as file:
        return json.load(file)


def _measured(arm: Arm, evals: list[pl.DataFrame], minutes: float) -> dict[str, Any]:
    steps = [
        _json(arm.experiment, f"metrics/iterations/{j}/train.json") for j in range(1, len(evals))
    ]
    return {
        "arm": arm.name,
        "seed": arm.seed,
        "minutes": minutes,
        "training_tokens": sum(step["tokens"] for step in steps),
        "iterations": [scores.summary(frame) for frame in evals],
        "labels": _json(arm.experiment, "metrics/labels.json"),
    }


def _comparisons(
    config: Mapping[str, Any], evals: Mapping[str, list[pl.DataFrame]]
) -> Iterator[dict[str, Any]]:
    """Yield paired differences of the loop's last iteration, with seeds pooled.

    It is compared with the last iteration of every other arm and with models/0.
    """
    for name in (name for group in ("arms", "ablations") for name in config[group]):
        seeds = [
            seed
            for seed in config["seeds"]
            if {f"results-loop-s{seed}", f"results-{name}-s{seed}"} <= set(evals)
        ]
        for benchmark, macro in (("heldout", False), ("bfcl", True)):

            def last(arm: str, benchmark: str = benchmark, seeds: list[int] = seeds) -> Any:
                frames = [evals[f"results-{arm}-s{seed}"][-1] for seed in seeds]
                return scores.headline(pl.concat(frames)).filter(benchmark=benchmark, split="test")

            def first(benchmark: str = benchmark, seeds: list[int] = seeds) -> Any:
                frames = [evals[f"results-loop-s{seed}"][0] for seed in seeds]
                return scores.headline(pl.concat(frames)).filter(benchmark=benchmark, split="test")

            if not seeds:
                continue
            against = first() if name == "loop" else last(name)
            result = scores.paired_difference(against, last("loop"), macro=macro, seed=0)
            yield {
                "benchmark": benchmark,
                "of": "loop, last iteration",
                "against": "models/0" if name == "loop" else f"{name}, last iteration",
                "seeds": seeds,
                "difference": result.difference,
                "standard_error": result.standard_error,
                "low": result.low,
                "high": result.high,
            }


def _tables(measured: list[dict[str, Any]], comparisons: list[dict[str, Any]]) -> str:
    def row(cells: list[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    categories = sorted(
        {
            name
            for run in measured
            for part in run["iterations"]
            for name in part["bfcl"]["categories"]
        }
    )
    head = ["run", "seed", "model", "held-out", "BFCL mean", *categories, "wrong labels in D"]
    lines = [row(head), row(["---"] * len(head))]
    for run in measured:
        for j, part in enumerate(run["iterations"]):
            wrong = run["labels"].get(str(j), {}).get("label_error")
            heldout, official = part["heldout"], part["bfcl"]
            cells = [run["arm"], str(run["seed"]), str(j)]
            cells += [percent(s["accuracy"], s["standard_error"]) for s in (heldout, official)]
            cells += [percent(official["categories"][name]["accuracy"]) for name in categories]
            lines.append(row([*cells, percent(wrong)]))
    lines += ["", row(["benchmark", "of", "against", "difference, points", "95 % interval"])]
    lines.append(row(["---"] * 5))
    for item in comparisons:
        interval = f"{100 * item['low']:+.1f} to {100 * item['high']:+.1f}"
        difference = f"{100 * item['difference']:+.1f} ± {100 * item['standard_error']:.1f}"
        lines.append(row([item["benchmark"], item["of"], item["against"], difference, interval]))
    lines += ["", row(["run", "seed", "minutes", "training tokens"]), row(["---"] * 4)]
    for run in measured:
        lines.append(
            row(
                [
                    run["arm"],
                    str(run["seed"]),
                    str(run["minutes"]),
                    f"{run['training_tokens']:,.0f}",
                ]
            )
        )
    return "\n".join(lines) + "\n"
