"""The schema of params.yaml, checked before any model is loaded (docs/design.md, section 5).

No field has a default here: params.yaml holds every value, and DVC tracks that file.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from looptool.core.errors import ConfigError
from looptool.core.hub_name import hub_name
from looptool.core.registry import ADDRESS
from looptool.core.samples import CarriedOrigin, Category
from looptool.core.tool_match import MatchMode

FILE = Path("params.yaml")
BASE = Path("models/base")  # the base model of the run, whatever `model.base` names
EMBEDDED = "embedded"  # the value of `model.base` for the model that comes with the project

BfclCategory = Literal[
    "all", "non_live", "live", "multi_turn", "simple", "multiple", "parallel", "parallel_multiple",
    "irrelevance", "java", "javascript", "live_simple", "live_multiple", "live_parallel",
    "live_parallel_multiple", "live_irrelevance", "live_relevance", "multi_turn_base",
    "multi_turn_miss_func", "multi_turn_miss_param", "multi_turn_long_context",
]  # fmt: skip
AcebenchCategory = Literal[
    "all", "normal", "special", "agent", "normal_single_turn_single_function",
    "normal_single_turn_parallel_function", "normal_multi_turn_user_adjust",
    "normal_multi_turn_user_switch", "normal_similar_api", "normal_preference", "normal_atom_bool",
    "normal_atom_enum", "normal_atom_number", "normal_atom_list", "normal_atom_object_deep",
    "normal_atom_object_short", "special_incomplete", "special_error_param", "special_irrelevant",
    "agent_multi_step", "agent_multi_turn",
]  # fmt: skip
SourceName = Literal["own", "grammar", "llm"]
EngineName = Literal["auto", "transformers", "vllm", "openai", "replay"]
Schedule = Literal["constant", "linear"]


def _named(
    *names: str, other: re.Pattern[str] = ADDRESS, called: str = "package.module:name"
) -> AfterValidator:
    """Accept one of these names, or another of the form `other`, which messages call `called`."""

    def check(value: str) -> str:
        if value not in names and not other.fullmatch(value):
            known = [*names, called]
            raise PydanticCustomError("unknown_name", "is unknown", {"names": known})
        return value

    return AfterValidator(check)


RewardName = Annotated[str, _named("match", "graded")]

Count = Annotated[int, Field(ge=1)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
NotNegative = Annotated[float, Field(ge=0.0)]
Name = Annotated[str, Field(min_length=1)]


def _check_hub_name(value: str) -> str:
    try:
        hub_name(value)
    except ValueError as error:
        raise PydanticCustomError("hub_name", str(error)) from None
    return value


ModelName = Annotated[Name, AfterValidator(_check_hub_name)]
"""A model folder, `hf:owner/name@commit`, or a server's name for a model."""
Url = Annotated[str, Field(pattern="^https?://[^/ ]+")]
ToolSet = Annotated[str, Field(pattern=r"^data/tools/[^/]+\.json$")]  # in DVC's sight
SampleSet = Annotated[str, Field(pattern=r"^data/samples/[^/]+$")]
Overrides = dict[str, Any]


def _listed(value: object) -> object:
    return (
        (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
    )


Several = BeforeValidator(_listed)
"""A list of names; a single name is accepted too."""


def _dates_as_text(value: object) -> object:
    """Return options with dates, which YAML reads as such, as texts."""
    if not isinstance(value, dict):
        return value
    return {name: each.isoformat() if isinstance(each, dt.date) else each
            for name, each in value.items()}  # fmt: skip


class Section(BaseModel):
    """Base of all sections: frozen; unknown fields and values of another type are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


_TEMPLATES = "configs/chat_templates"
ChatTemplate = Annotated[
    str,
    _named(
        "own", "looptool",
        other=re.compile(rf"{_TEMPLATES}/[^/]+\.jinja"), called=f"{_TEMPLATES}/NAME.jinja",
    ),
]  # fmt: skip
TemplateOptions = Annotated[dict[str, Any], BeforeValidator(_dates_as_text)]


class Model(Section):
    base: ModelName
    chat_template: ChatTemplate
    template_options: TemplateOptions
    dtype: Literal["auto", "bfloat16", "float32"]
    threads: Count | None


class Vllm(Section):
    max_model_len: Count | None
    gpu_memory_utilization: Annotated[float, Field(gt=0.0, le=1.0)]
    tensor_parallel_size: Count
    data_parallel_size: Count
    rollout_url: Url


class Server(Section):
    base_urls: Annotated[tuple[Url, ...], Field(strict=False, min_length=1)]
    key: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] | None
    concurrency: Count
    timeout: Positive
    retries: Annotated[int, Field(ge=0)]
    structured_output: bool
    api: Literal["chat", "tokens"]


class ModelItem(Section):
    """An entry of `loop.models`: a model that `eval` scores."""


class Iteration(Section):
    prev: int
    generate: Overrides
    train: Overrides


class Handoff(Section):
    probe: Overrides
    verify: Overrides
    expand: Overrides


class Loop(Section):
    mode: Literal["loop", "static", "fresh"]
    models: dict[str, ModelItem]
    iterations: dict[str, Iteration]
    handoffs: dict[str, Handoff]

    @property
    def last(self) -> int:
        """The number N of the last iteration."""
        return len(self.iterations)


class Heldout(Section):
    samples: Count
    seed: Seed


class Seeds(Section):
    samples: Count
    label_noise: Share
    seed: Seed
    shares: Annotated[dict[Category, NotNegative], Field(min_length=1)]

    @model_validator(mode="after")
    def _some_share(self) -> Self:
        if not sum(self.shares.values()):
            raise ValueError("shares: at least one must be above 0")
        return self


class Warmup(Seeds):
    steps: Annotated[int, Field(ge=0)]
    batch_size: Count
    learning_rate: Positive
    schedule: Schedule


class LLM(Section):
    """A large language model as author, judge or expander."""

    name: Literal["llm"]
    engine: Literal["transformers", "vllm", "openai"]
    server: str
    model: ModelName
    batch_size: Count | None
    temperature: NotNegative
    max_new_tokens: Count
    template_options: TemplateOptions


def _name_or_llm(value: object) -> str:
    return _LLM if isinstance(value, Mapping | LLM) else _NAME


# Parts of an error's location that are not fields.
_NAME, _LLM = "[name]", "[llm]"
_AnLLM = Annotated[LLM, Tag(_LLM)]
AuthorSettings = Annotated[
    Annotated[str, _named("grammar"), Tag(_NAME)] | _AnLLM, Discriminator(_name_or_llm)
]
JudgeSettings = Annotated[
    Annotated[str, _named("rules"), Tag(_NAME)] | _AnLLM, Discriminator(_name_or_llm)
]
ExpanderSettings = Annotated[
    Annotated[str, _named("rewriter"), Tag(_NAME)] | _AnLLM, Discriminator(_name_or_llm)
]


def name_of(settings: str | LLM) -> str:
    """Return `llm`, the name of a built-in implementation, or the address of user code."""
    return settings if isinstance(settings, str) else settings.name


class Generate(Seeds):
    author: AuthorSettings
    fill_up: bool
    tools: ToolSet | None
    own: SampleSet | None
    mix: dict[SourceName, Share] | None
    min_fresh: Share

    @property
    def sources(self) -> list[str]:
        """The sources of new samples: those with a share in `mix`, or the author."""
        if self.mix is None:
            return [name_of(self.author)]
        return [name for name, share in self.mix.items() if share]

    @model_validator(mode="after")
    def _sources_are_set(self) -> Self:
        if self.mix is not None and not sum(self.mix.values()):
            raise ValueError("mix: at least one share must be above 0")
        if ("own" in self.sources) != (self.own is not None):
            raise ValueError(
                "own: must name a set in data/samples if mix has a share of own, else null"
            )
        if "llm" in self.sources and not isinstance(self.author, LLM):
            raise ValueError(
                "author: must be the settings of a model, {name: llm, …}: mix has a share of llm"
            )
        return self


class Train(Section):
    steps: Count
    reward: RewardName
    prompts_per_step: Count
    group_size: Annotated[int, Field(ge=2)]
    oversample: Annotated[float, Field(ge=1.0)]
    anchor: Literal["none", "label"]
    negative_weight: Share
    learning_rate: Positive
    schedule: Schedule
    temperature: Positive
    top_p: Annotated[float, Field(gt=0.0, le=1.0)]
    epsilon_low: Annotated[float, Field(gt=0.0, lt=1.0)]
    epsilon_high: Positive
    beta: NotNegative
    max_new_tokens: Count
    max_tokens: Count | None
    updates_per_rollout: Count
    minibatches: Count
    save_steps: Count
    vllm: Literal["auto", "off", "colocate", "server"]
    rollout_memory: Annotated[float, Field(gt=0.0, lt=1.0)]
    activation_checkpointing: bool
    tokens_per_pass: Count | None
    lora_rank: Count | None
    accelerate_config: Annotated[str, Field(pattern=r"^configs/accelerate/[^/]+$")] | None
    seed: Seed

    @model_validator(mode="after")
    def _whole_minibatches(self) -> Train:
        if self.prompts_per_step % self.minibatches:
            raise ValueError(
                f"minibatches: {self.minibatches} does not divide prompts_per_step, "
                f"{self.prompts_per_step}"
            )
        return self


class Probe(Section):
    engine: EngineName
    server: str
    batch_size: Count | None
    max_new_tokens: Count
    high_ppl_share: Share
    keep_high_ppl: bool


class Verify(Section):
    enabled: bool
    judges: Annotated[tuple[JudgeSettings, ...], Field(strict=False, min_length=1)]
    review: Literal["off", "corrected", "all"]


class Carry(Section):
    share: Share
    caps: dict[CarriedOrigin, Share]


class Expand(Section):
    mode: Literal["generate", "repeat", "off"]
    expander: ExpanderSettings
    per_seed: Count
    max_similarity: Share
    carry: Carry
    seed: Seed


class EvalBfcl(Section):
    categories: Annotated[tuple[BfclCategory, ...], Several]
    limit: Count | None


class Simulator(Section):
    engine: EngineName
    server: str
    model: ModelName


class EvalAcebench(Section):
    path: str | None
    language: Literal["en", "zh", "both"]
    categories: Annotated[tuple[AcebenchCategory, ...], Several]
    limit: Count | None
    user: Simulator | None


class Eval(Section):
    engine: EngineName
    server: str
    heldout_limit: Count | None
    batch_size: Count | None
    max_new_tokens: Count
    bfcl: EvalBfcl
    acebench: EvalAcebench


class Params(Section):
    """All of params.yaml, with the overrides of one iteration merged if one was given."""

    seed: Seed
    match: MatchMode
    model: Model
    vllm: Vllm
    servers: dict[str, Server]
    loop: Loop
    heldout: Heldout
    warmup: Warmup
    generate: Generate
    train: Train
    probe: Probe
    verify: Verify
    expand: Expand
    eval: Eval

    @property
    def roles(self) -> list[tuple[str, str | LLM]]:
        """(field, settings) of the author, of each judge, and of the expander."""
        return [
            ("generate.author", self.generate.author),
            *((f"verify.judges.{place}", judge) for place, judge in enumerate(self.verify.judges)),
            ("expand.expander", self.expand.expander),
        ]

    def asking(self) -> list[tuple[str, Probe | Eval | Simulator | LLM]]:
        """Return (field, settings) of each setting with an engine that this run uses."""
        asking: list[tuple[str, Probe | Eval | Simulator | LLM]] = [
            ("probe", self.probe),
            ("eval", self.eval),
        ]
        if self.eval.acebench.path and self.eval.acebench.user:
            asking.append(("eval.acebench.user", self.eval.acebench.user))
        for field, settings in self.roles:
            if isinstance(settings, LLM) and (
                field != "expand.expander" or self.expand.mode == "generate"
            ):
                asking.append((field, settings))
        return asking

    @property
    def addresses(self) -> list[tuple[str, str]]:
        """(field, address) of each field that names user code."""
        return [
            (field, settings)
            for field, settings in [*self.roles, ("train.reward", self.train.reward)]
            if isinstance(settings, str) and ADDRESS.fullmatch(settings)
        ]

    @model_validator(mode="after")
    def _known_servers(self) -> Params:
        for name, section in self.asking():
            if section.engine == "openai" and section.server not in self.servers:
                raise ValueError(
                    f"{name}.server: {section.server!r} is not one of servers"
                    f"{_nearest(section.server, list(self.servers))}"
                )
        return self

    @model_validator(mode="after")
    def _no_noise_on_noise(self) -> Params:
        author = name_of(self.generate.author)
        if author != "grammar":
            noisy: list[tuple[str, Generate | Warmup]] = []
            if self.generate.mix is None:
                noisy.append(("generate", self.generate))
            if self.warmup.steps:
                noisy.append(("warmup", self.warmup))
            for name, section in noisy:
                if section.label_noise:
                    raise ValueError(
                        f"{name}.label_noise: must be 0 where generate.author is {author}: "
                        "its labels are not known to be right, so nothing could be measured; "
                        f"set {' and '.join(f'{each}.label_noise' for each, _ in noisy)} to 0"
                    )
        return self

    @model_validator(mode="after")
    def _room_for_fresh(self) -> Params:
        if self.expand.carry.share + self.generate.min_fresh > 1 + 1e-9:
            raise ValueError("expand.carry.share and generate.min_fresh: add up to more than 1")
        return self


def load(path: Path | str = FILE, iteration: int | None = None) -> Params:
    """Read and validate params.yaml, and merge the overrides of `iteration`.

    Iteration 0 is the base model, after its warm-up if there is one, and has no overrides.

    Raises:
        ConfigError: naming the file, the field and the rule, also for overrides of iterations
            that were not asked for; or if the loop has no such iteration.
    """
    path = Path(path)
    data = read(path)
    params = _validate(path, data)
    if problems := list(_chain_problems(params.loop)):
        raise _error(path, problems)
    last = params.loop.last
    merged = {j: _merged(path, data, params.loop, j) for j in range(1, last + 1)}
    if iteration is None or iteration == 0:
        return params
    if iteration not in merged:
        raise _error(path, [f"loop.iterations: {iteration} is not between 1 and {last}"])
    return merged[iteration]


def loop_block(path: Path, data: Mapping[str, Any]) -> Any:
    """Return the loop block of params.yaml's `data` if its keys are texts.

    Raises:
        ConfigError: if they are not, or if a part of the block is missing.
    """
    loop = data.get("loop")
    for name in ("models", "iterations", "handoffs"):
        if not isinstance(loop, Mapping) or not isinstance(loop.get(name), Mapping):
            raise _error(path, [f"loop.{name}: must be a mapping"])
        for key in loop[name]:
            if not isinstance(key, str):
                raise _error(path, [f'loop.{name}: write the key {key} in quotes, "{key}"'])
    return loop


def read(path: Path) -> dict[str, Any]:
    """Return the plain content of params.yaml, its sections not yet checked.

    Raises:
        ConfigError: if the file is missing, is not valid YAML, or DVC would drop keys of its loop.
    """
    try:
        data = YAML(typ="safe", pure=True).load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: does not exist; run from the project's root") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (YAMLError, ValueError) as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise ConfigError(f"{path}: not valid YAML: " + "\n  ".join(lines[:6])) from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: must be a mapping of sections")
    if "loop" in data:
        loop_block(path, data)
    return data


def _validate(path: Path, data: Mapping[str, Any], override: str = "") -> Params:
    try:
        return Params.model_validate(data)
    except ValidationError as error:
        problems = [_describe(dict(detail)) for detail in error.errors(include_url=False)]
        raise _error(path, [f"{override}{problem}" for problem in problems]) from None


def _merged(path: Path, data: Mapping[str, Any], loop: Loop, iteration: int) -> Params:
    """Return the params with the overrides of one iteration. The base params are valid."""
    merged = dict(data)
    key = str(iteration)
    for where, item in (("iterations", loop.iterations[key]), ("handoffs", loop.handoffs.get(key))):
        for section, value in item or ():
            if isinstance(value, dict) and value:
                merged[section] = _merge(merged[section], value)
                _validate(path, merged, f"loop.{where}.{key}.")
    return _validate(path, merged)


def _merge(base: Any, override: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(override, dict):
        return override
    return {**base, **{key: _merge(base.get(key), value) for key, value in override.items()}}


def _chain_problems(loop: Loop) -> Iterator[str]:
    """Yield each reason why the unrolled loop is not a chain from 1 to N."""
    last = loop.last
    if not last:
        yield "loop.iterations: at least one is needed"
    for name, expected in (
        ("iterations", range(1, last + 1)),
        ("models", range(last + 1)),
        ("handoffs", range(1, last)),
    ):
        wanted, present = {str(j) for j in expected}, set(getattr(loop, name))
        if present != wanted:
            missing = ", ".join(sorted(wanted - present, key=int))
            extra = ", ".join(sorted(present - wanted))
            yield (
                f"loop.{name}: a gap in the loop of {last} iterations:"
                + (f" {missing} missing" if missing else "")
                + (f" {extra} too many" if extra else "")
                + "; `looptool unroll N` repairs it"
            )
    for key, item in loop.iterations.items():
        if key.isdecimal() and item.prev != int(key) - 1:
            yield f"loop.iterations.{key}.prev: must be {int(key) - 1}"


def _describe(detail: dict[str, Any]) -> str:
    path = [str(part) for part in detail["loc"]]
    location = [part for part in path if part not in ("[key]", _NAME, _LLM)]
    where = ".".join(location)
    kind, context = detail["type"], detail.get("ctx") or {}
    if kind == "extra_forbidden":
        return f"{where}: unknown field{_nearest(location[-1], _fields(path[:-1]))}"
    if kind == "literal_error":
        allowed = _literals(context["expected"])
        return f"{where}: {detail['input']!r} is unknown{_nearest(str(detail['input']), allowed)}"
    if kind == "unknown_name" and detail["input"] == "llm":
        settings = "".join(f", {field}: …" for field in list(LLM.model_fields)[1:])
        return f"{where}: a model needs its settings: {{name: llm{settings}}}"
    if kind == "unknown_name":
        return (
            f"{where}: {detail['input']!r} is unknown{_nearest(detail['input'], context['names'])}"
        )
    if kind == "missing":
        return f"{where}: missing"
    if kind == "value_error":
        return ".".join([*location, str(context["error"])])
    rule = detail["msg"].removeprefix("Input ").removeprefix("Tuple ").replace("should", "must")
    rule = rule.replace("a valid integer", "an integer").replace("valid tuple", "list")
    rule = rule.replace("valid ", "").replace(" after validation", "")
    value = repr(detail["input"])
    return f"{where}: {rule}, found {value if len(value) < 60 else value[:57] + '...'}"


def _literals(expected: str) -> list[str]:
    return [part.strip(" '") for part in expected.replace(" or ", ", ").split(",")]


def _nearest(name: str, allowed: list[str]) -> str:
    nearest = difflib.get_close_matches(name, allowed, n=1)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"{hint} (allowed: {', '.join(allowed)})"


def _fields(location: list[str]) -> list[str]:
    """Return the names that params.yaml allows at `location`."""
    model: Any = Params
    for part in location:
        if part == _LLM:
            model = LLM
        elif isinstance(model, type) and issubclass(model, Section):
            model = model.model_fields[part].annotation
        elif arguments := getattr(model, "__args__", None):  # dict[str, Iteration]
            model = arguments[-1]
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def _error(path: Path, problems: list[str]) -> ConfigError:
    shown = problems[:8]
    if len(problems) > len(shown):
        shown.append(f"and {len(problems) - len(shown)} more")
    return ConfigError("\n".join(f"{path}: {problem}" for problem in shown))
