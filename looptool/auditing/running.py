"""What `looptool data audit` puts together: the set, the judges, and the answers."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from looptool.auditing import predictions
from looptool.auditing.audit import audit
from looptool.auditing.predictions import Answers
from looptool.auditing.sets import AuditedSet
from looptool.core import canonical, machine, runs, tables
from looptool.core.errors import ConfigError
from looptool.core.fingerprints import code_files, hash_path
from looptool.core.params import FILE, LLM, EngineName, Params, load
from looptool.core.registry import ADDRESS
from looptool.core.registry import load as load_object
from looptool.engines.roles import Cast
from looptool.evaluation.targets import Target, target_of
from looptool.judging import JUDGES, Judge, make_judges
from looptool.terminal import counting

REQUESTS = "requests.parquet"


def check(
    models: Sequence[str], answers: Path | None, judge: str | None
) -> tuple[Params | None, list[Target]]:
    """Check what was asked for before anything is read; return the params and the models.

    Without a params.yaml, only a judge that needs no settings can be used.

    Raises:
        ConfigError: if a model, the judge or a file is missing.
    """
    if answers is not None and not answers.is_file():
        raise ConfigError(f"--answers: {answers}: does not exist")
    params = load() if FILE.is_file() else None
    if params is None and (models or judge not in (None, "rules")):
        raise ConfigError(
            f"{FILE}: does not exist; models, and judges other than rules, are set up there "
            "(`looptool init` creates one)"
        )
    if judge in ("llm", "both") and params is not None and not _large(params):
        raise ConfigError(f"{FILE}: verify.judges: has no large model; add {{name: llm, …}}")
    if judge not in (None, "rules", "llm", "both") and not ADDRESS.fullmatch(judge or ""):
        raise ConfigError(f"--judge: {judge}: is neither rules, llm, both nor package.module:name")
    if judge is not None and ADDRESS.fullmatch(judge):
        _own_judge(judge)
    return params, list(dict.fromkeys(map(target_of, models)))


def _large(params: Params) -> list[LLM]:
    return [judge for judge in params.verify.judges if isinstance(judge, LLM)]


def run(
    opened: AuditedSet,
    place: Path,
    params: Params | None,
    targets: Sequence[Target],
    *,
    engine: EngineName | None,
    answers_file: Path | None,
    judge: str | None,
) -> dict[str, Any]:
    """Get the answers, let the judges judge, write the audit and return its description."""
    runs.quiet()
    if params and (engine or params.probe.engine) == "vllm" and any(t.url is None for t in targets):
        if runs.python_with_vllm() is None:
            raise ConfigError("engine: vllm is not installed; run `looptool setup --with vllm`")
        runs.enter_vllm(["-m", "looptool", *sys.argv[1:]])
    settings = canonical.dumps(params.model_dump(mode="json")) if params else ""
    key = canonical.digest(opened.source, hash_path(opened.path), settings)
    with _only_one(place), _scratch(key) as scratch:
        cast = Cast(params, lambda: scratch, 0) if params else None
        judges = _judges(params, judge, cast)
        answers = Answers()
        if answers_file is not None:
            ids = {identity for part in opened.parts() for identity in part["sample_id"]}
            places = predictions.places_of(opened.parts())
            read = predictions.read_file(answers_file, ids, places)
            answers.by_model[predictions.FILE] = read
        for target in targets:
            assert params is not None
            with counting(f"answers of {target.name}", opened.rows) as on_progress:
                answers.by_model[target.name] = predictions.ask(
                    target, params, engine, opened.parts(), scratch, on_progress
                )
        match = params.match if params else "schema"
        with counting("labels", opened.rows) as on_progress:
            described = audit(opened, place, judges, answers, match, on_progress)
        if cast is not None and cast.requests:
            tables.write(cast.frame(), tables.Requests, place / REQUESTS)
    return described


def _own_judge(address: str) -> Judge:
    made = load_object(address, "--judge")
    try:
        judge: Judge = made()
        if callable(judge.compare) and callable(judge.admit) and judge.name:
            return judge
    except (TypeError, AttributeError) as error:
        raise ConfigError(f"--judge: {address}: is no judge: {error}") from None
    raise ConfigError(f"--judge: {address}: is no judge (docs/extending.md)")


def _judges(params: Params | None, judge: str | None, cast: Cast | None) -> list[Judge]:
    """Return the judges of `--judge`, or those of params; the rules if there are no params."""
    if judge is not None and ADDRESS.fullmatch(judge):
        return [_own_judge(judge)]
    if params is None or cast is None or judge == "rules":
        return [load_object(JUDGES["rules"])("rules", cast)]
    settings = params.verify
    if judge in ("llm", "both"):
        chosen = (("rules",) if judge == "both" else ()) + tuple(_large(params))
        settings = settings.model_copy(update={"judges": chosen})
    return make_judges(settings, cast)


@contextlib.contextmanager
def _scratch(of: str) -> Iterator[Path]:
    """Yield a folder for answers; it is removed once the audit is complete."""
    hasher = hashlib.blake2b(of.encode(), digest_size=12)
    for path in code_files(__name__):
        hasher.update(hash_path(path).encode())
    folder = machine.scratch_root() / f"audit-{hasher.hexdigest()}"
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _only_one(place: Path) -> Iterator[None]:
    """Raise ConfigError if another process writes this audit."""
    locks = machine.scratch_root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(locks / f"audit-{canonical.digest(str(place.resolve()))}.lock", timeout=0):
            yield
    except Timeout:
        raise ConfigError(f"{place}: another audit writes there; wait for it") from None
