"""Presets: what they change, what they leave, and that those shipped are valid."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from looptool.core import params
from looptool.core.errors import ConfigError
from looptool.workspace import presets

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(
    path.stem for path in (ROOT / "configs").glob("*.yaml") if path.stem not in presets.OTHERS
)


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text((ROOT / "params.yaml").read_text("utf-8"), "utf-8")
    Path("configs").mkdir()
    for name in SHIPPED:
        Path(f"configs/{name}.yaml").write_text(
            (ROOT / f"configs/{name}.yaml").read_text("utf-8"), "utf-8"
        )


def value_of(loaded: params.Params, field: str) -> object:
    value = loaded.model_dump(mode="json")
    for part in field.split("."):
        value = value[part]
    return value


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_preset_is_valid_and_sets_what_it_says(name: str) -> None:
    preset = YAML(typ="safe", pure=True).load(Path(f"configs/{name}.yaml").read_text("utf-8"))
    assert presets.use(name, lambda before, after: True)
    loaded = params.load("params.yaml")
    assert loaded.loop.last == preset["iterations"]
    for field, value in preset["set"].items():
        assert value_of(loaded, field) == value, field


def test_the_papers_run_has_the_papers_numbers() -> None:
    presets.use("qwen3-8b", lambda before, after: True)
    loaded = params.load("params.yaml")
    train = loaded.train
    assert (train.prompts_per_step, train.minibatches, train.group_size) == (128, 1, 16)
    assert train.steps == 2 * loaded.generate.samples // 128 and loaded.expand.per_seed == 4
    assert (train.epsilon_low, train.epsilon_high, train.beta) == (0.2, 0.28, 0.0)
    assert (train.learning_rate, train.max_new_tokens, loaded.loop.last) == (1e-6, 1024, 4)
    assert (train.anchor, train.oversample, train.negative_weight) == ("none", 1.0, 1.0)
    assert train.max_tokens == 4096 + 1024


# Error seeds (corrected or not), expansions, high-PPL samples and new seeds of D_2, D_3 and D_4.
MIXES = [(1919, 6566, 4187, 5632), (3386, 8066, 4036, 2816), (3731, 8169, 4996, 1408)]


@pytest.mark.parametrize("name", ["qwen3-8b", "qwen3-32b"])
@pytest.mark.parametrize("mix", MIXES)
def test_the_papers_mixes_are_within_the_limits(name: str, mix: tuple[int, ...]) -> None:
    presets.use(name, lambda before, after: True)
    loaded = params.load("params.yaml")
    seeds, expanded, high_ppl, fresh = (count / sum(mix) for count in mix)
    caps = loaded.expand.carry.caps
    assert seeds <= min(caps["error_seed"], caps["corrected"])
    assert expanded <= caps["expanded"] and high_ppl <= caps["high_ppl"]
    assert fresh >= loaded.generate.min_fresh and 1 - fresh <= loaded.expand.carry.share
    assert sum(mix) == loaded.generate.samples == 18304


def test_nothing_is_written_without_a_yes() -> None:
    before = Path("params.yaml").read_text("utf-8")
    seen: list[tuple[str, str]] = []
    assert not presets.use("qwen3-8b", lambda *texts: bool(seen.append(texts)))
    assert Path("params.yaml").read_text("utf-8") == before == seen[0][0]
    assert "model.base" not in seen[0][1] and "base: hf:Qwen/Qwen3-8B@" in seen[0][1]


def test_comments_stay() -> None:
    presets.use("qwen3-8b", lambda before, after: True)
    text = Path("params.yaml").read_text("utf-8")
    assert "# clip higher; acts only with more than one" in text
    assert text.splitlines()[0] == (ROOT / "params.yaml").read_text("utf-8").splitlines()[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("set: {train.stepps: 3}", r"train\.stepps: unknown field; did you mean steps"),
        ("set: {trian.steps: 3}", r"configs/own\.yaml: set\.trian\.steps: no such field"),
        ("set: {train.steps: none}", r"train\.steps: must be an integer"),
        ("sets: {}", r"a preset has only the fields iterations and set"),
        ("set: [", r"not valid YAML"),
    ],
)
def test_a_wrong_preset_is_told_and_changes_nothing(content: str, told: str) -> None:
    before = Path("params.yaml").read_text("utf-8")
    Path("configs/own.yaml").write_text(content, "utf-8")
    with pytest.raises(ConfigError, match=told):
        presets.use("own", lambda *texts: True)
    assert Path("params.yaml").read_text("utf-8") == before


def test_an_unknown_preset_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"qwen3\.yaml: does not exist; presets are: .*qwen3-8b"):
        presets.use("qwen3", lambda *texts: True)
