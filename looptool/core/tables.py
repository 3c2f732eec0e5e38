"""The tables of the pipeline: Pandera models, reading and writing (docs/design.md, section 3).

Tools, messages, labels and calls are stored as canonical JSON *strings*, because columnar formats
pad nested columns with nulls or change their types. The same rows always give the same bytes: rows
are sorted by the table's key and the writer's arguments are fixed.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import polars as pl

from looptool.core.errors import TableError
from looptool.core.files import replacing
from looptool.core.samples import CATEGORIES, DECISIONS, ERROR_TYPES, ORIGINS, VERDICTS


class _NoPandas:
    """An import finder that hides pandas."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("No module named 'pandas'", name="pandas")


@contextlib.contextmanager
def _without_pandas() -> Iterator[None]:
    """Hide pandas while pandera is imported.

    If pandas is installed, pandera imports it too, which costs every stage two seconds on two
    cores.
    """
    sys.meta_path.insert(0, _NoPandas)
    try:
        yield
    finally:
        sys.meta_path.remove(_NoPandas)


with _without_pandas():
    import pandera.polars as pa
    from pandera.errors import SchemaError, SchemaErrors

HANDOFF_EVENTS = (
    "mastered",  # matched at low perplexity: leaves the data
    "capped",  # not carried because the shares in params left no room
    "error_seed",  # judged PRED_WRONG, or not judged
    "corrected",  # judged LABEL_WRONG: the prediction became the label
    "alternative",  # judged BOTH_CORRECT: the prediction became an alternative
    "dropped",  # judged BOTH_WRONG: leaves the data
    "undecided",  # the judges did not agree, or it was not judged: stays, and is no error seed
    "high_ppl",  # matched at high perplexity: stays
    "expanded",  # a new sample made from an error seed
)
EVENTS = (
    "born",  # a seed was admitted to D_j
    "kept",  # a carried row entered D_j
    *HANDOFF_EVENTS,
)

WRITTEN_ROWS = 20_000  # at a time, by `Writer`

_ID = r"^[0-9a-f]{32}$"
REVIEWER = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$"


class Table(pa.DataFrameModel):
    """Base class of all tables. A table has exactly the declared columns."""

    class Config:
        strict = True

    @classmethod
    def key(cls) -> tuple[str, ...]:
        """Return the columns that rows are sorted by when written."""
        return ("sample_id",)

    @classmethod
    def added(cls) -> tuple[str, ...]:
        """Return the nullable columns that older tables lack; `read` fills them with null."""
        return ()


class Samples(Table):
    """Samples of D_j, of the carried rows, and of the warm-up and held-out sets."""

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    tools: str = pa.Field(str_startswith="[")
    messages: str = pa.Field(str_startswith="[")
    label: str = pa.Field(str_startswith="{")
    label_id: str = pa.Field(str_matches=_ID)
    alternatives: str = pa.Field(str_startswith="[")
    category: str
    origin: str = pa.Field(isin=ORIGINS)
    parent_id: str = pa.Field(str_matches=_ID, nullable=True)
    born_iteration: int = pa.Field(ge=0)
    label_iteration: int = pa.Field(ge=0)
    label_source: str = pa.Field(str_length={"min_value": 1})


class Truth(Table):
    """The true labels of synthesized seeds. Used only to measure label quality."""

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    label: str = pa.Field(str_startswith="{")
    label_id: str = pa.Field(str_matches=_ID)
    noise: str = pa.Field(nullable=True)


class Seen(Table):
    """Every sample admitted so far, with the first iteration that admitted it."""

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    iteration: int = pa.Field(ge=0)


class LeftOut(Table):
    """Samples that a model was not trained on, since it cannot take them."""

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    check: str = pa.Field(isin=("template", "length"))
    reason: str


class Rollouts(Table):
    """The answers that a training drew, each with its reward.

    `number` counts the answers to a sample in one step. `completion` is the answer as the model
    wrote it; the label, where `anchored`. `parts` are the parts of the reward by name.
    """

    sample_id: str = pa.Field(str_matches=_ID)
    step: int = pa.Field(ge=1)
    number: int = pa.Field(ge=0)
    completion: str
    reward: float
    parts: str = pa.Field(str_startswith="{")
    tokens: int = pa.Field(ge=0)
    origin: str = pa.Field(isin=ORIGINS)
    anchored: bool

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("sample_id", "step", "number")


class Probe(Table):
    """The greedy prediction of model j for each sample of D_j (GCP).

    `prediction` is the answer as the model wrote it. The next four columns are the answer as it was
    read.
    """

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    prediction: str
    calls: str = pa.Field(str_startswith="[")
    text: str
    thinking: str
    parse_error: str = pa.Field(nullable=True)
    matched: bool
    ppl: float = pa.Field(ge=1.0, lt=float("inf"), nullable=True)  # null: unknown
    high_ppl: bool
    tokens: int = pa.Field(ge=0)
    error_type: str = pa.Field(isin=ERROR_TYPES, nullable=True)


class Verdicts(Table):
    """The verdict on each mismatch (JGLV): that of the judges, unless people decided.

    `proposed` is the judges' own verdict. `new_label` is a label that a person wrote or took from
    an earlier prediction; where it is null, the new label is the prediction.
    """

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    verdict: str = pa.Field(isin=VERDICTS)
    rationale: str
    judge: str
    votes: str = pa.Field(str_startswith="{")
    consensus: float = pa.Field(ge=0.0, le=1.0)
    old_label_id: str = pa.Field(str_matches=_ID)
    new_label_id: str = pa.Field(str_matches=_ID, nullable=True)
    new_label: str = pa.Field(str_startswith="{", nullable=True)
    proposed: str = pa.Field(isin=VERDICTS, nullable=True)

    @classmethod
    def added(cls) -> tuple[str, ...]:
        return ("new_label", "proposed")


class Reviews(Table):
    """The decisions of one reviewer, in the order in which they were made.

    `source` is what was reviewed, an iteration or an audit, and `verdict` the judges' verdict that
    was shown, null if nothing spoke against the label. `weight` is the number of rows that a row of
    a random sample stands for; null for rows that the reviewer chose.
    """

    number: int = pa.Field(ge=0, unique=True)
    reviewer: str = pa.Field(str_matches=REVIEWER)
    source: str
    sample_id: str = pa.Field(str_matches=_ID)
    label_id: str = pa.Field(str_matches=_ID)
    prediction_id: str = pa.Field(str_matches=_ID, nullable=True)
    verdict: str = pa.Field(isin=VERDICTS, nullable=True)
    decision: str = pa.Field(isin=DECISIONS)
    new_label: str = pa.Field(str_startswith="{", nullable=True)
    new_label_id: str = pa.Field(str_matches=_ID, nullable=True)
    note: str
    seconds: float = pa.Field(ge=0.0)
    weight: float = pa.Field(ge=1.0, nullable=True)

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("number",)


class Audit(Table):
    """What an audit says about each label of a set (docs/audit.md), the most suspicious first.

    `verdict` is null where nothing speaks against the label. `prediction` is the answer that it is
    compared with: of the models, or one that a judge thinks fits better. `answers` has each model's
    answer. `suspicion` is how likely the label is wrong, by the judges.
    """

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    label_id: str = pa.Field(str_matches=_ID)
    category: str = pa.Field(isin=CATEGORIES)
    tool: str  # the first one that the label calls; empty for a text
    arguments: str = pa.Field(str_startswith="[")  # those at fault, as `tool.argument`
    verdict: str = pa.Field(isin=VERDICTS, nullable=True)
    suspicion: float = pa.Field(ge=0.0, le=1.0)
    confidence: float = pa.Field(ge=0.0, le=1.0, nullable=True)
    judge: str
    votes: str = pa.Field(str_startswith="{")
    rationale: str
    unread: str = pa.Field(isin=("language", "knowledge"), nullable=True)
    prediction: str = pa.Field(str_startswith="{", nullable=True)
    prediction_id: str = pa.Field(str_matches=_ID, nullable=True)
    answers: str = pa.Field(str_startswith="{")
    agreement: float = pa.Field(ge=0.0, le=1.0, nullable=True)
    ppl: float = pa.Field(ge=1.0, nullable=True)
    label_ppl: float = pa.Field(ge=1.0, nullable=True)
    line: int = pa.Field(ge=1, nullable=True)
    turn: int = pa.Field(ge=1, nullable=True)


class Rejected(Table):
    """Rejected samples, with the check that rejected them and the reason."""

    sample_id: str = pa.Field(str_matches=_ID)
    check: str
    reason: str
    stage: str
    parent_id: str = pa.Field(str_matches=_ID, nullable=True)
    tools: str
    messages: str
    label: str

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("sample_id", "check", "reason")


class Lineage(Table):
    """The event log of one stage in one iteration."""

    sample_id: str = pa.Field(str_matches=_ID)
    event: str = pa.Field(isin=EVENTS)
    iteration: int = pa.Field(ge=0)
    stage: str
    parent_id: str = pa.Field(str_matches=_ID, nullable=True)
    old_label_id: str = pa.Field(str_matches=_ID, nullable=True)
    new_label_id: str = pa.Field(str_matches=_ID, nullable=True)
    model: str = pa.Field(nullable=True)
    judge: str = pa.Field(nullable=True)
    seed: int = pa.Field(nullable=True)
    inputs: str = pa.Field(nullable=True)

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("sample_id", "event", "new_label_id")


class Requests(Table):
    """Requests of a stage to author, judge and expander models, with the answers, in order."""

    number: int = pa.Field(ge=0, unique=True)
    sample_id: str = pa.Field(str_matches=_ID)  # the subject of the request
    thread: str = pa.Field(str_matches=_ID)  # the sample or dialogue that the request is part of
    prompt: str  # the prompt file, `<part>/<name>`
    version: str  # the version number in the prompt file and the start of its content hash
    model: str
    messages: str = pa.Field(str_startswith="[")
    answer: str
    tokens: int = pa.Field(ge=0)
    error: str = pa.Field(nullable=True)

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("number",)


class Imported(Table):
    """A user's own samples, with their position in the imported file."""

    sample_id: str = pa.Field(str_matches=_ID, unique=True)
    tools: str = pa.Field(str_startswith="[")
    messages: str = pa.Field(str_startswith="[")
    label: str = pa.Field(str_startswith="{")
    category: str = pa.Field(isin=CATEGORIES)
    line: int = pa.Field(ge=1)
    turn: int = pa.Field(ge=1)  # number of the message that is the label


class Refusals(Table):
    """Records and turns that an import refused, with the check and the reason."""

    line: int = pa.Field(ge=1)
    turn: int = pa.Field(ge=1, nullable=True)
    check: str = pa.Field(isin=("record", "json", "turn", "duplicate"))
    reason: str
    text: str  # the start of the record or turn

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("line", "turn", "check")


class Eval(Table):
    """One answer to one row of one benchmark.

    `prediction` is the answer as the model wrote it, and `answer` the same as it was read: an
    object with calls, text, thinking and error. In dialogues both are JSON lists of turns, which
    are lists of steps. `answer` is null where no model answered, and for ACEBench's agents, whose
    `prediction` is the outcome. `valid` follows the benchmark's own rules, `strict` our stricter
    ones.
    """

    benchmark: str
    category: str
    id: str
    split: str = pa.Field(isin=("development", "test"))
    prediction: str
    answer: str = pa.Field(nullable=True)
    valid: bool
    strict: bool
    error_type: str = pa.Field(nullable=True)
    error: str = pa.Field(nullable=True)

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("benchmark", "category", "id")

    @classmethod
    def added(cls) -> tuple[str, ...]:
        return ("answer",)


class Bench(Eval):
    """One answer of one target of `looptool bench`.

    `model` is the engine with the hash of the weights or the server's name for the model. `prompt`
    is the style in which the tools were presented.
    """

    target: str
    model: str
    prompt: str

    @classmethod
    def key(cls) -> tuple[str, ...]:
        return ("target", "prompt", "benchmark", "category", "id")


def frame(table: type[Table], rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Return rows as a frame with the columns and types of `table`, even if `rows` is empty."""
    return pl.DataFrame(rows, schema=polars_schema(table), orient="row")


def polars_schema(table: type[Table]) -> dict[str, Any]:
    """Return the polars column types of a table."""
    types = {str: pl.String, int: pl.Int64, float: pl.Float64, bool: pl.Boolean}
    return {
        name: types.get(column.dtype.type, column.dtype.type)
        for name, column in table.to_schema().columns.items()
    }


def check(data: pl.DataFrame, table: type[Table], where: str = "") -> pl.DataFrame:
    """Validate `data` against `table` and return it.

    Raises:
        TableError: if it is invalid; names the table, the column, the rule and the first bad rows.
    """
    try:
        table.validate(data, lazy=True)
    except (SchemaError, SchemaErrors) as error:
        raise TableError(_describe(error, table, where)) from None
    return data


def write(data: pl.DataFrame, table: type[Table], path: Path | str, *, sort: bool = True) -> None:
    """Validate `data` and write it to `path` atomically.

    Args:
        sort: whether rows are sorted by the table's key; otherwise they keep their order.

    Raises:
        TableError: if the data breaks the table's rules, or the disk is full or not writable.
    """
    path = Path(path)
    columns = list(polars_schema(table))
    key = list(table.key())
    data = check(data, table, str(path)).select(columns)
    if data.select(key).is_duplicated().any():  # the key alone does not fix the order
        key += [column for column in columns if column not in key]
    data = data.sort(key) if sort else data
    try:
        with replacing(path) as partial:
            data.write_parquet(
                partial,
                compression="zstd",
                compression_level=3,
                statistics=True,
                row_group_size=65_536,
                data_page_size=1_048_576,
            )
    except (OSError, pl.exceptions.PolarsError) as error:  # polars may raise its own on a full disk
        raise TableError(f"{path}: could not be written: {error}") from error


class Writer:
    """Writes a table in checked pieces, in order; `named` is the path that errors name."""

    def __init__(self, path: Path, table: type[Table], named: Path) -> None:
        self.path = path
        self.table = table
        self.named = named
        self.schema = polars_schema(table)
        self.columns: dict[str, list[Any]] = {name: [] for name in self.schema}

    def __enter__(self) -> Self:
        import pyarrow.parquet as pq

        schema = pl.DataFrame(schema=self.schema).to_arrow().schema
        self.file = pq.ParquetWriter(self.path, schema, compression="zstd", compression_level=3)
        return self

    def add(self, columns: dict[str, list[Any]]) -> None:
        for name, values in columns.items():
            self.columns[name] += values
        if len(next(iter(self.columns.values()))) >= WRITTEN_ROWS:
            self._flush()

    def _flush(self) -> None:
        data = pl.DataFrame(self.columns, schema=self.schema)
        self.file.write_table(check(data, self.table, str(self.named)).to_arrow())
        self.columns = {name: [] for name in self.schema}

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self.file.close()


def read(path: Path | str, table: type[Table]) -> pl.DataFrame:
    """Read and validate a table.

    Raises:
        TableError: if the file is missing, is not Parquet, or breaks the table's rules.
    """
    path = Path(path)
    if not path.exists():
        raise TableError(f"{path}: does not exist; run `dvc repro` or `dvc checkout`")
    try:
        data = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from None
    missing = [name for name in table.added() if name not in data.columns]
    data = data.with_columns(pl.lit(None, pl.String).alias(name) for name in missing)
    return check(data, table, str(path))


def check_columns(
    path: Path | str, table: type[Table], older: Mapping[str, str] | None = None
) -> None:
    """Check that a file is Parquet with the columns of `table`, without reading its rows.

    Args:
        older: columns, each with the one that stands for it in an older revision.

    Raises:
        TableError: if it is missing, is not Parquet, or a column is missing or has another type.
    """
    path = Path(path)
    if not path.is_file():
        raise TableError(f"{path}: does not exist")
    try:
        types = pl.read_parquet_schema(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise _unreadable(path, error) from None
    for name, former in (older or {}).items():
        if name not in types and former in types:
            types[name] = types[former]
    for name, kind in polars_schema(table).items():
        if types.get(name) != kind and (name in types or name not in table.added()):
            problem = "is missing" if name not in types else f"is {types[name]}, not {kind}"
            raise TableError(f"{path}: not a {table.__name__} table: column {name} {problem}")


def counts(data: pl.DataFrame, column: str) -> dict[str, int]:
    """Return how often each value occurs in a column, sorted by value."""
    return dict(data[column].value_counts().sort(column).iter_rows())


def _unreadable(path: Path, error: pl.exceptions.PolarsError | OSError) -> TableError:
    """Return the error for a file that polars cannot read."""
    problem = "cannot be read" if isinstance(error, OSError) else "not a Parquet file"
    return TableError(f"{path}: {problem}: {str(error).splitlines()[0]}")


def _describe(error: SchemaError | SchemaErrors, table: type[Table], where: str) -> str:
    lines = [f"{where or 'data'}: not a {table.__name__} table"]
    failures = error.schema_errors if isinstance(error, SchemaErrors) else [error]
    for failure in failures[:5]:
        name = getattr(failure.schema, "name", None) or "table"
        lines.append(f"  column {name}: {failure.check or failure.reason_code}")
        cases = getattr(failure, "failure_cases", None)
        if isinstance(cases, pl.DataFrame) and len(cases):
            lines.append(f"    first: {cases.head(3).rows()}")
        elif cases is not None and not isinstance(cases, pl.DataFrame):
            lines.append(f"    found: {cases}")
    return "\n".join(lines)
