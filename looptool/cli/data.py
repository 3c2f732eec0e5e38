"""`looptool data`: import and export your own samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from looptool.cli.options import Json, console, print_json
from looptool.core.errors import LooptoolError

app = typer.Typer(help="Import and export your own samples.", no_args_is_help=True)


@app.command("import")
def import_data(
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON lines or a JSON array, also as .gz or .zst; Parquet; or a folder of these."
        ),
    ],
    form: Annotated[
        Literal["openai", "sharegpt", "xlam", "toolace", "looptool"] | None,
        typer.Option("--format", help="Format of the records. Default: detected."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Output folder. Default: data/samples/<name>.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Import samples from other formats, one per assistant turn, and report what is refused.

    Example: looptool data import xlam_function_calling_60k.json
    """
    from looptool.exchange import sample_sets
    from looptool.reporting import imports
    from looptool.terminal import counting

    target = output or sample_sets.place_of(file)
    with counting("records") as on_progress:
        outcome = sample_sets.import_samples(file, target, form, on_progress)
    sample_sets.track(target)
    if as_json:
        print_json(outcome.to_json())
    else:
        imports.show_samples(outcome, target, console())
    if not outcome.samples:
        raise LooptoolError(f"{file}: no samples; {target / sample_sets.REJECTED} says why")


@app.command("export")
def export_data(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="2, main:2, exp-name:2, or a .parquet file.")
    ],
    form: Annotated[
        Literal["openai", "sharegpt", "xlam", "toolace", "looptool", "hf"],
        typer.Option("--format", help="Output format. hf is a folder with a data set card."),
    ],
    output: Annotated[Path, typer.Option(help="Output file; for hf, the folder.")],
    license_: Annotated[
        str, typer.Option("--license", help="License of the data, for the hf card.")
    ] = "unknown",
) -> None:
    """Write a data set in another format, with its current labels.

    Example: looptool data export 2 --format openai --output d2.jsonl
    """
    from looptool.exchange import exports
    from looptool.lineage.diff import open_data_set

    opened = open_data_set(data)
    if form == "hf":
        from looptool.reporting.cards import write_data_set

        count, left_out = write_data_set(opened, output, license_), 0
    else:
        count, left_out = exports.export_samples(opened.path, output, form)
    rejected = f", {left_out:,} left out, in {output}.rejected.jsonl" if left_out else ""
    typer.echo(f"{count:,} samples → {output}{rejected}")
