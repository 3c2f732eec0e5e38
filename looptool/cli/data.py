"""`looptool data`: import and export your own samples."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import Json, Public, Yes, console, print_json, push_folder
from looptool.core.errors import ConfigError, LooptoolError

app = typer.Typer(help="Import and export your own samples.", no_args_is_help=True)


@app.command("import")
def import_data(
    source: Annotated[
        str,
        typer.Argument(
            help="JSON lines or a JSON array, also as .gz or .zst; Parquet; a folder of these; or "
            "hf:owner/name[@revision][:config][:split] of the hub."
        ),
    ],
    form: Annotated[
        Literal["openai", "sharegpt", "xlam", "toolace", "looptool", "sft", "hf"] | None,
        typer.Option("--format", help="Format of the records. Default: detected."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output folder. Default: data/samples/<name>.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import samples from other formats, one per assistant turn, and report what is refused.

    Example: looptool data import hf:Salesforce/xlam-function-calling-60k
    """
    from looptool.exchange import sample_sets
    from looptool.hub.data import find_data
    from looptool.reporting import imports
    from looptool.terminal import counting

    found = find_data(source) if source.startswith("hf:") else Path(source)
    target = output or sample_sets.place_of(found)
    with counting("records") as on_progress:
        outcome = sample_sets.import_samples(found, target, form, on_progress)
    sample_sets.track(target)
    if as_json:
        print_json(outcome.to_json())
    else:
        imports.show_samples(outcome, target, console())
    if not outcome.samples:
        raise LooptoolError(f"{found}: no samples; {target / sample_sets.REJECTED} says why")


@app.command("audit")
def audit_data(
    data: Annotated[
        str,
        typer.Argument(
            metavar="SET",
            help="An imported set, a data set (2, main:2, exp-name:2), a file that `data import` "
            "reads, or hf:owner/name.",
        ),
    ],
    models: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            help="Compare labels with the answers of this model: an iteration, a folder, "
            "hf:owner/name, or http://…/v1#MODEL. Repeatable; the most frequent answer counts.",
        ),
    ] = None,
    engine: Annotated[
        Literal["transformers", "vllm", "openai"] | None,
        typer.Option(help="Engine for local models. Default: eval.engine."),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help="Compare labels with answers in a file (docs/audit.md)."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="rules|llm|both|PACKAGE.MODULE:NAME", help="Who judges. Default: verify.judges."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder of the audit. Default: data/audits/<name>.")
    ] = None,
    apply: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.parquet",
            help="Do not judge again: write the set with the decisions of `looptool review`.",
        ),
    ] = None,
    rows: Annotated[int, typer.Option(min=0, help="Number of suspects to show.")] = 10,
    as_json: Json = False,
) -> None:
    """Find the wrong labels in a set. The set itself is never changed.

    Without --model and --answers, judges inspect each label alone.

    Example: looptool data audit calls.jsonl --judge rules
    Example: looptool data audit calls.jsonl --apply corrected.parquet
    """
    import polars as pl

    from looptool.auditing import AUDIT, running
    from looptool.auditing.apply import apply as apply_reviews
    from looptool.auditing.audit import SUSPECT
    from looptool.auditing.sets import open_set
    from looptool.core import tables
    from looptool.judging.human import read_reviews
    from looptool.reporting.audits import show_applied, show_audit
    from looptool.terminal import counting

    if models and answers:
        raise ConfigError("--answers: cannot be combined with --model")
    if apply and (models or answers or judge or engine):
        raise ConfigError("--apply: judges nothing; leave out --model, --answers and --judge")
    if engine and not models:
        raise ConfigError("--engine: needs --model")
    params, targets = running.check(models or [], answers, judge)
    with counting("records") as on_progress:
        opened = open_set(data, output, on_progress)
    if apply is not None:
        applied = apply_reviews(opened, opened.place, apply, read_reviews())
        if as_json:
            print_json(asdict(applied))
        else:
            show_applied(applied, apply, console())
        return
    described = running.run(
        opened, opened.place, params, targets, engine=engine, answers_file=answers, judge=judge
    )
    table = tables.read(opened.place / AUDIT, tables.Audit)
    if as_json:
        first = table.filter(pl.col("verdict").is_in(SUSPECT)).head(rows)
        print_json(described | {"first": first.to_dicts()})
    else:
        show_audit(described, table, rows, opened.place, console())


@app.command("export")
def export_data(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="2, main:2, exp-name:2, or a .parquet file.")
    ],
    form: Annotated[
        Literal["openai", "sharegpt", "xlam", "toolace", "looptool", "sft", "dpo", "hf"] | None,
        typer.Option(
            "--format",
            help="Output format. sft and dpo are those of TRL; dpo are pairs of answers, by the "
            "verdicts. hf, the default with --push, is a folder with a card.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Output file; for hf, the folder. Default with --push: exports/data-…"),
    ] = None,
    license_: Annotated[
        str, typer.Option("--license", help="License of the data, for the hf card.")
    ] = "unknown",
    push: Annotated[
        str | None,
        typer.Option(metavar="OWNER/NAME", help="Also upload the hf folder to the hub."),
    ] = None,
    public: Public = False,
    yes: Yes = False,
) -> None:
    """Write a data set in another format, with its current labels, or upload it to the hub.

    An upload is private unless you say otherwise. It shows first what is uploaded and who can see
    it. Again, only what changed is uploaded.

    Example: looptool data export 2 --format openai --output d2.jsonl
    Example: looptool data export 1 --format dpo --output pairs.jsonl
    Example: looptool data export 2 --push owner/my-data
    """
    from looptool.exchange import exports
    from looptool.hub.upload import repository_of
    from looptool.lineage.diff import open_data_set, open_iteration

    name = repository_of(push) if push else None
    form = form or ("hf" if name else None)
    if form is None:
        raise ConfigError("--format: missing; name one, such as openai, or hf for a folder")
    if name and form != "hf":
        raise ConfigError(f"--push: uploads the format hf, not {form}")
    if output is None:
        if name is None:
            raise ConfigError("--output: missing; name a file, or for hf a folder")
        output = Path("exports", "data-" + re.sub(r"[^A-Za-z0-9_.-]+", "-", data).strip("-."))
    if form == "dpo":
        if data.endswith(".parquet"):
            raise ConfigError(
                f"{data}: pairs need verdicts: name an iteration, such as 1 or main:1"
            )
        count, left_out = exports.export_pairs(*open_iteration(data), output)
    elif form == "hf":
        from looptool.reporting.cards import write_data_set

        count, left_out = write_data_set(open_data_set(data), output, license_), 0
    else:
        count, left_out = exports.export_samples(open_data_set(data).path, output, form)
    rejected = f", {left_out:,} left out, in {output}.rejected.jsonl" if left_out else ""
    typer.echo(f"{count:,} {'pairs' if form == 'dpo' else 'samples'} → {output}{rejected}")
    if name:
        push_folder(output, name, "dataset", f"looptool: data set {data}", public, yes)
