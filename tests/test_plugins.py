"""A judge, a reward, an expander and an author of the user's, as docs/extending.md shows them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from looptool.core import params, runs
from looptool.core.answers import read_answer
from looptool.core.calls import parse
from looptool.core.errors import ConfigError
from looptool.engines import Prompt
from looptool.engines.roles import Cast
from looptool.expansion import ErrorSeed, make_expander
from looptool.judging import Case, make_judges
from looptool.synthesis import make_author
from looptool.training.rewards import Example, graded, make_reward

ROOT = Path(__file__).parents[1]
TOOL = {"name": "f", "description": "", "parameters": {"type": "object"}}
LABEL = {"calls": [{"name": "f", "arguments": {"a": 1, "b": 2}}]}
ASKED = [{"role": "user", "content": "Do it"}]
SECTIONS = {
    "plugins.judges:Careful": "verify.judges",
    "plugins.rewards:brief": "train.reward",
    "plugins.expanders:Polite": "expand.expander",
    "plugins.authors:Templates": "generate.author",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with the examples of docs/extending.md in it."""
    (tmp_path / "plugins").mkdir()
    text = (ROOT / "docs/extending.md").read_text("utf-8")
    for block in re.findall(r"(?:^(?:    .*)?\n)+", text, re.M):
        code = re.sub(r"^    ", "", block.strip("\n"), flags=re.M)
        if found := re.match(r"# (plugins/\w+\.py)\n", code):
            (tmp_path / found[1]).write_text(code + "\n", "utf-8")
    for name in [name for name in sys.modules if name.partition(".")[0] == "plugins"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "scratch"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(project, **values):
    text = (ROOT / "params.yaml").read_text("utf-8")
    for old, new in values.values():
        assert old in text
        text = text.replace(old, new)
    (project / "params.yaml").write_text(text, "utf-8")
    return params.load(project / "params.yaml")


@pytest.fixture
def chosen(project):
    return settings(
        project,
        judges=("judges: [rules]", "judges: [rules, plugins.judges:Careful]"),
        reward=("reward: match", "reward: plugins.rewards:brief"),
        expander=("expander: rewriter", "expander: plugins.expanders:Polite"),
        author=("author: grammar", "author: plugins.authors:Templates"),
        noise=("label_noise: 0.15", "label_noise: 0.0"),
    )


def cast_of(chosen):
    return Cast(chosen, Path, 0, runs.Run.bar)


def test_params_name_them_and_say_where(chosen):
    assert dict(chosen.addresses) == {
        "generate.author": "plugins.authors:Templates",
        "verify.judges.1": "plugins.judges:Careful",
        "expand.expander": "plugins.expanders:Polite",
        "train.reward": "plugins.rewards:brief",
    }


def test_a_judge_votes_beside_the_rules(chosen):
    rules, careful = make_judges(chosen.verify, cast_of(chosen))
    case = Case([TOOL], ASKED, LABEL, None)
    assert [judge.name for judge in (rules, careful)] == ["rules", "careful"]
    assert careful.compare([case])[0].verdict == "PRED_WRONG"
    assert careful.admit([([TOOL], ASKED, LABEL)]) == [None]


def test_an_expander_makes_candidates(chosen):
    seed = ErrorSeed("id", [TOOL], ASKED, LABEL, "single", "wrong_value", read_answer(""), "", "")
    (made,) = make_expander(chosen.expand, cast_of(chosen)).expand([seed], 1, "7")
    assert made.parent_id == "id" and made.messages[0]["content"] == "Please help me. Do it"


def test_an_author_writes_drafts(chosen):
    author = make_author(chosen.generate.author, chosen.generate, cast_of(chosen), ())
    one, other = (author.write(3, seed=seed, split="train", shares={}) for seed in "ab")
    assert [draft.category for draft in one] == ["single"] * 3 and one != other


def test_a_reward_has_named_parts(chosen):
    reward = make_reward(chosen.train.reward)
    example = Example(Prompt(ASKED, [TOOL]), LABEL)
    said = '<tool_call>{"name": "f", "arguments": {"a": 1, "b": 3}}</tool_call>'
    parts = {"calls": 0.0, "names": 1.0, "arguments": 0.5, "brief": 1.0}
    assert reward(parse(said), example, "schema") == parts


@pytest.mark.parametrize(
    ("said", "parts"),
    [
        ([{"name": "f", "arguments": {"a": 1, "b": 2}}], (1, 1, 1)),
        ([{"name": "f", "arguments": {"a": 1, "b": 2}}] * 2, (1 / 2, 1 / 2, 1 / 2)),
        ([{"name": "f", "arguments": {}}], (0, 1, 0)),
        ([{"name": "g", "arguments": {"a": 1, "b": 2}}], (0, 0, 0)),
        ([{"name": "f", "arguments": {"b": 2, "c": 1}}], (0, 1, 1 / 3)),
        ([], (0, 0, 0)),
    ],
)
def test_graded_rewards_the_share_that_is_right(said, parts):
    text = "".join(f"<tool_call>{json.dumps(call)}</tool_call>" for call in said) or "No."
    found = graded(parse(text), Example(Prompt(ASKED, [TOOL]), LABEL), "schema")
    assert tuple(found.values()) == pytest.approx(parts)


def test_a_broken_answer_and_a_call_in_place_of_a_text_get_nothing():
    example = Example(Prompt(ASKED, [TOOL]), LABEL)
    assert not sum(graded(parse("<tool_call>{"), example, "schema").values())
    asked = Example(Prompt(ASKED, [TOOL]), {"text": "Which one?"})
    call = '<tool_call>{"name": "f", "arguments": {}}</tool_call>'
    assert not sum(graded(parse(call), asked, "schema").values())
    assert sum(graded(parse("Which?"), asked, "schema").values()) == 3


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("plugins.nowhere:X", "No module named 'plugins.nowhere'"),
        ("plugins.rewards:x", "has no attribute 'x'"),
    ],
)
def test_what_there_is_not_is_told_with_its_field(project, name, rule):
    with pytest.raises(ConfigError, match=f"params.yaml: train.reward: {name}: .*{rule}"):
        make_reward(name)


def test_a_misspelt_name_is_refused_before_anything_runs(project):
    with pytest.raises(
        ConfigError, match=r"train\.reward: 'matsch' is unknown; did you mean match"
    ):
        settings(project, reward=("reward: match", "reward: matsch"))


def test_an_edit_of_a_module_changes_the_scratch_folder_of_the_stages_that_use_it(chosen, project):
    def folders():
        found = []
        for name, section in (("train", "train"), ("probe", "probe")):
            with runs.stage(name, 1) as run:
                found.append(run.scratch([], [section]))
        return found

    before = folders()
    with open(project / "plugins/rewards.py", "a", encoding="utf-8") as file:
        file.write("# edited\n")
    after = folders()
    assert before[0] != after[0] and before[1] == after[1]
