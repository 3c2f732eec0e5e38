"""`looptool bench bfcl` and `acebench`: compare models; answers are stored for `looptool sql`."""

from __future__ import annotations

import hashlib
import math
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from looptool.core import canonical, machine, runs, tables
from looptool.core.answers import from_json
from looptool.core.errors import ConfigError
from looptool.core.fingerprints import code_files, hash_path
from looptool.core.params import EngineName
from looptool.core.params import load as load_params
from looptool.engines import Completion, Sampling
from looptool.engines.folders import named_of_hub
from looptool.evaluation import running, scores
from looptool.evaluation.acebench import agent
from looptool.evaluation.acebench import exports as acebench_exports
from looptool.evaluation.acebench import overall as acebench_overall
from looptool.evaluation.acebench import prompts as acebench_prompts
from looptool.evaluation.acebench import rows as acebench
from looptool.evaluation.acebench import scoring as acebench_scoring
from looptool.evaluation.bfcl import exports as bfcl_exports
from looptool.evaluation.bfcl import overall, prompts
from looptool.evaluation.bfcl import rows as bfcl
from looptool.evaluation.bfcl.package import check_benchmark
from looptool.evaluation.targets import Target, load, target_of
from looptool.lineage.revisions import Snapshot
from looptool.terminal import counting, shown

FOLDER = Path("data/bench")


def run_bfcl(
    targets: Sequence[str],
    categories: Sequence[str],
    *,
    limit: int | None,
    style: prompts.Style,
    engine: EngineName | None,
) -> pl.DataFrame:
    """Run BFCL on each target, store the answers in data/bench and return them as `tables.Bench`.

    The result includes the same models' stored answers to other rows, so categories can be run one
    by one. An interrupted run resumes where it stopped.

    Raises:
        ConfigError: before any model is loaded, if a target, category or the benchmark is missing.
        LooptoolError: if an engine fails or the checker cannot be run.
    """
    rows = bfcl.rows(categories, limit)
    check_benchmark()
    return _run(
        bfcl.BENCHMARK, targets, engine, style, [row.id for row in rows],
        lambda ask, _: running.run_bfcl(rows, ask, style)[0],
    )  # fmt: skip


def run_acebench(
    targets: Sequence[str],
    categories: Sequence[str],
    *,
    path: Path | None,
    language: str | None,
    limit: int | None,
    style: acebench_prompts.Style,
    engine: EngineName | None,
    user: str | None,
) -> pl.DataFrame:
    """Run ACEBench on each target; see `run_bfcl`.

    Args:
        path: the checkout of ACEBench; default: `eval.acebench.path`.
        language: en, zh or both; default: `eval.acebench.language`.
        user: the target that simulates the user in `agent_multi_turn`.
    """
    settings = load_params().eval.acebench
    checkout = path or settings.path
    rows = acebench.in_languages(checkout, language or settings.language, categories, limit)
    running.check_acebench(rows, checkout or "", style, user)
    return _run(
        acebench_scoring.BENCHMARK, targets, engine, style, [row.id for row in rows],
        lambda ask, played: running.run_acebench(rows, checkout or "", ask, style, played),
        user,
    )  # fmt: skip


def _run(
    benchmark: str,
    targets: Sequence[str],
    engine: EngineName | None,
    style: str,
    ids: Sequence[str],
    run: Callable[[agent.Ask, agent.Ask | None], pl.DataFrame],
    user: str | None = None,
) -> pl.DataFrame:
    params, named = load_params(), list(dict.fromkeys(map(target_of, targets)))
    player = target_of(user) if user else None
    local = any(target.url is None for target in [*named, *([player] if player else [])])
    if local and (engine or params.eval.engine) == "vllm":
        if runs.python_with_vllm() is None:
            raise ConfigError("engine: vllm is not installed; run `looptool setup --with vllm`")
        runs.enter_vllm(["-m", "looptool", *sys.argv[1:]])
    runs.quiet()
    # load the servers first, so that a missing one is reported before any prompt is sent
    servers = {each: load(each, params) for each in named if each.url is not None}
    simulator = load(player, params, engine) if player else None
    sampling, frames = Sampling(params.eval.max_new_tokens), []
    for target in named:
        loaded = servers.get(target) or load(target, params, engine)
        model = f"{loaded.identity}, at most {sampling.max_new_tokens} tokens"
        model += f", user {simulator.identity}" if simulator else ""
        key = f"{benchmark} {model} {style} {' '.join(ids)}"
        with _scratch(key) as scratch, counting(f"answers of {target.name}") as on_progress:
            played = running.Asker(simulator, sampling, scratch) if simulator else None
            results = run(running.Asker(loaded, sampling, scratch, on_progress), played)
        frames.append(_keep(results, target, model, style))
        del loaded, played  # free the memory before the next model is loaded
    return pl.concat(frames)


def show(results: pl.DataFrame, console: Console) -> None:
    """Print a table with one row per category and average, and one column per target.

    The official averages come first, then the strict ones.
    """
    targets = results["target"].unique(maintain_order=True).to_list()
    table = Table(results["benchmark"][0], "rows", *map(escape, targets), box=None)
    for label, count, cells in lines(results):
        table.add_row(label, "" if count is None else str(count), *cells)
    console.print(table)
    missing = [name for target in targets for name in missing_of(results.filter(target=target))]
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        console.print(shown(f"no overall: missing or incomplete categories: {names}"))


def lines(results: pl.DataFrame) -> list[tuple[str, int | None, list[str]]]:
    """Return the rows of one benchmark's table; figures are in %.

    Each is (label, number of benchmark rows, one cell per target in the order of the frame). The
    number is None for averages. If a target was run on a different number of rows than the first,
    its cell says on how many.
    """
    targets = results["target"].unique(maintain_order=True).to_list()
    parts = {name: results.filter(target=name) for name in targets}
    shares = {name: _categories(part) for name, part in parts.items()}
    listed: list[tuple[str, int | None, list[str]]] = []
    for category in dict.fromkeys(label for categories in shares.values() for label in categories):
        count = next(
            categories[category][1] for categories in shares.values() if category in categories
        )
        cells = []
        for categories in shares.values():
            share, rows = categories.get(category, (None, 0))
            error = 0.0 if share is None else math.sqrt(share * (1 - share) / rows)
            cell = "–" if share is None else f"{100 * share:.1f} ± {100 * error:.1f}"
            cells.append(cell if rows in (0, count) else f"{cell} of {rows}")
        listed.append((category, count, cells))
    columns: tuple[Literal["valid", "strict"], ...] = ("valid", "strict")
    for column, label in zip(columns, ("", ", strict"), strict=True):
        means = {name: averages(part, column) for name, part in parts.items()}
        for group in dict.fromkeys(group for each in means.values() for group in each):
            values = [means[name].get(group) for name in targets]
            if any(value is not None for value in values):
                listed.append((f"{group}{label}", None, [_percent(value) for value in values]))
    return listed


def _categories(part: pl.DataFrame) -> dict[str, tuple[float, int]]:
    """Return accuracy and number of rows (ACEBench: dialogues) by category, in benchmark order."""
    if part["benchmark"][0] == bfcl.BENCHMARK:
        by_category = {row["category"]: (row["accuracy"], row["rows"])
                       for row in scores.by_category(part).iter_rows(named=True)}  # fmt: skip
        return {name: by_category[name] for name in bfcl.CATEGORIES if name in by_category}
    counted: dict[str, tuple[float, int]] = {}
    for language in _languages(part):
        rows = part.filter(pl.col("id").str.starts_with(f"{language}/"))
        for category, share in acebench_overall.overall(rows, language).categories.items():
            ids = rows.filter(category=category)["id"]
            counted[f"{language}/{category}"] = share, len(set(map(acebench.dialogue_of, ids)))
    return counted


def kept(snapshot: Snapshot) -> list[dict[str, Any]]:
    """Return the stored `looptool bench` results for the report, by benchmark and prompt style."""
    frames: dict[str, list[pl.DataFrame]] = {}
    for name in sorted(snapshot.files):
        if name.startswith(f"{FOLDER}/") and name.endswith(".parquet"):
            frame = tables.read(snapshot.path(name), tables.Bench)
            title = f"{frame['benchmark'][0]}, {frame['prompt'][0]} prompt"
            frames.setdefault(title, []).append(frame)
    return [
        {
            "title": title,
            "targets": [frame["target"][0] for frame in parts],
            "lines": lines(pl.concat(parts)),
        }
        for title, parts in frames.items()
    ]


def to_json(results: pl.DataFrame) -> list[dict[str, Any]]:
    """Return one object per target: its accuracies by category and its averages."""
    return [
        {
            "target": name,
            "prompt": part["prompt"][0],
            "categories": [
                {"category": category, "rows": rows, "accuracy": share}
                for category, (share, rows) in _categories(part).items()
            ],
            "valid": averages(part, "valid"),
            "strict": averages(part, "strict"),
            "missing": missing_of(part),
        }
        for (name,), part in results.group_by("target", maintain_order=True)
    ]


def averages(part: pl.DataFrame, column: Literal["valid", "strict"]) -> dict[str, float | None]:
    """Return a target's averages as its benchmark defines them; None if results are missing."""
    if part["benchmark"][0] == bfcl.BENCHMARK:
        means = overall.overall(part, column)
        return {
            "non_live": means.non_live,
            "live": means.live,
            "multi_turn": means.multi_turn,
            "overall": means.overall,
        }
    shares: dict[str, float | None] = {}
    for language in _languages(part):
        ace = acebench_overall.overall(part, language, column)
        shares |= {f"{language} {group}": ace.groups.get(group) for group in acebench.GROUPS}
        shares[f"{language} overall"] = ace.overall
    return shares


def missing_of(part: pl.DataFrame) -> list[str]:
    """Return the categories that are not run, or not on all rows, so there is no overall score."""
    if part["benchmark"][0] == bfcl.BENCHMARK:
        return list(overall.overall(part).missing)
    return [
        f"{language}/{category}"
        for language in _languages(part)
        for category in acebench_overall.overall(part, language).missing
    ]


def _languages(part: pl.DataFrame) -> list[acebench.Language]:
    return [each for each in acebench.LANGUAGES if part["id"].str.starts_with(f"{each}/").any()]


def export(
    benchmark: Literal["bfcl", "acebench"],
    target: str,
    style: str,
    folder: Path,
    model: str,
    checkout: Path | None = None,
) -> list[Path]:
    """Write a target's answers as the benchmark's official result files and return their paths.

    Args:
        model: the model's name in the official runner.
        checkout: the checkout of ACEBench; default: `eval.acebench.path`.

    Raises:
        ConfigError: if the target has no stored results; the message names the command to run.
    """
    name = named_of_hub(target)  # which need not be downloaded for this
    if name and not name.pinned:
        raise ConfigError(
            f"{target}: names no commit; name the target as `looptool bench` shows it"
        )
    path = kept_at(benchmark, style, str(name) if name else target_of(target).name)
    if not path.exists():
        raise ConfigError(
            f"{path}: does not exist; run `looptool bench {benchmark} {target} --prompt {style}`"
        )
    results = tables.read(path, tables.Bench)
    if benchmark == "bfcl":
        return bfcl_exports.write_results(results, folder, model)
    stored = {
        row_id: given for row_id, *given in results.select("id", "prediction", "answer").rows()
    }
    root = checkout or load_params().eval.acebench.path
    categories = results["category"].unique().to_list()
    rows = [
        row
        for language in _languages(results)
        for row in acebench.rows(root, language, categories)
        if row.id in stored
    ]
    answers = {row.id: _answer(*stored[row.id]) for row in rows if row.group != "agent"}
    outcomes = {
        row.id: agent.Outcome(**canonical.loads(stored[row.id][0]))
        for row in rows
        if row.group == "agent" and stored[row.id][0]
    }
    return acebench_exports.write_results(folder, model, rows, answers, outcomes)


def _answer(prediction: str, answer: str | None) -> Completion:
    """Return a stored answer; tables of older revisions have the text alone."""
    read = from_json(canonical.loads(answer)) if answer else None
    return Completion(prediction, 0, None, "stop", read=read)


def kept_at(benchmark: str, style: str, target: str) -> Path:
    """Return the path of the file that stores a target's answers."""
    readable = re.sub(r"[^A-Za-z0-9.]+", "-", target)
    return FOLDER / f"{benchmark}-{style}-{readable}-{canonical.digest(target)[:6]}.parquet"


def _keep(results: pl.DataFrame, target: Target, model: str, style: str) -> pl.DataFrame:
    """Add a target's answers to the same model's stored answers to other rows; return them all."""
    new = results.with_columns(
        target=pl.lit(target.name), model=pl.lit(model), prompt=pl.lit(style)
    )
    path = kept_at(str(new["benchmark"][0]), style, target.name)
    whole = new
    if path.exists():
        old = tables.read(path, tables.Bench).filter(model=model)
        whole = pl.concat([old.join(new, on=["category", "id"], how="anti"), new], how="diagonal")
    tables.write(whole, tables.Bench, path)
    return whole


@contextmanager
def _scratch(of: str) -> Iterator[Path]:
    """Yield a folder for partial answers; it is removed once the run completes."""
    hasher = hashlib.blake2b(of.encode(), digest_size=12)
    for path in code_files(running.__name__):
        hasher.update(hash_path(path).encode())
    folder = machine.scratch_root() / f"bench-{hasher.hexdigest()}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.2f}"
