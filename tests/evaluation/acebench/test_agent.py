"""ACEBench's agents: dialogues, calls that run in the sandbox, end states and milestones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from looptool.core import tables
from looptool.core.calls import ToolCall, render
from looptool.core.errors import ConfigError
from looptool.engines import Completion, Prompt
from looptool.evaluation import sandbox
from looptool.evaluation.acebench import agent, exports, prompts, worker
from looptool.evaluation.acebench.rows import Row, rows
from tests.answers import said

DONE = "finish conversation"


@pytest.fixture
def step(checkout: Path) -> Row:
    return rows(checkout, "en", ["agent_multi_step"])[0]


@pytest.fixture
def turn(checkout: Path) -> Row:
    return rows(checkout, "en", ["agent_multi_turn"])[0]


class Scripted:
    """Says its lines one after the other, the last one again and again, and keeps prompts."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.prompts: list[Prompt] = []

    def __call__(self, asked: Sequence[Prompt]) -> list[Completion]:
        answers = []
        for prompt in asked:
            answers.append(said(self.lines[min(len(self.prompts), len(self.lines) - 1)]))
            self.prompts.append(prompt)
        return answers


def here(items: Sequence[Any]) -> list[dict[str, Any]]:
    return [worker.handle(json.loads(json.dumps(item))) for item in items]


def item(checkout: Path, row: Row, *steps: list[ToolCall]) -> dict[str, Any]:
    return {
        "checkout": str(checkout),
        "language": "en",
        "scenario": "multi_turn",
        "classes": row.entry["involved_classes"],
        "config": row.entry["initial_config"],
        "saved": {"BaseApi": ["on"], "MessageApi": ["box"]},
        "steps": [[call.to_json() for call in step] for step in steps],
    }


@pytest.mark.parametrize("in_our_form", [False, True])
def test_an_agent_that_does_the_task_is_right(checkout: Path, turn: Row, in_our_form: bool) -> None:
    lines = ["[turn_on()]", "[send(text='hi')]", "Sent."]
    if in_our_form:
        lines[:2] = [render([ToolCall("turn_on", {})]), render([ToolCall("send", {"text": "hi"})])]
    user = Scripted("Please send hi.", DONE)
    (outcome,) = agent.drive([turn], checkout, Scripted(*lines), user)
    assert outcome.ended == "finished"
    assert outcome.process == ["[turn_on()]", "[send(text='hi')]"]
    # the class that the answer misspells is overlooked by the official rule, and compared by ours
    scored = agent.score([turn], {turn.id: outcome})
    tables.check(scored, tables.Eval)
    assert scored.select("valid", "strict").rows() == [(True, True)]
    assert agent.process_accuracy(turn, outcome) == 1.0
    assert [message["role"] for message in outcome.messages] == [
        *("user", "assistant", "tool", "assistant", "tool", "assistant", "user")
    ]


def test_an_agent_alone_is_told_to_go_on_and_stopped_at_the_limit(
    checkout: Path, step: Row
) -> None:
    model = Scripted("turn_on()", "Shall I?", "[send(text='ho')]", "I am done.")
    (outcome,) = agent.drive([step], checkout, model, execute=here)
    assert outcome.ended == "too long"
    assert len(model.prompts) == agent.MAX_MESSAGES / 2
    assert outcome.process[:3] == ["turn_on()", "Shall I?", "[send(text='ho')]"]
    assert agent.score([step], {step.id: outcome})["strict"].to_list() == [False]
    assert agent.process_accuracy(step, replace(outcome, states=[])) == 0.0


def test_who_calls_nothing_has_no_states(checkout: Path, turn: Row) -> None:
    (outcome,) = agent.drive([turn], checkout, Scripted("No."), Scripted("Hi", DONE), execute=here)
    assert outcome.states == []
    scored = agent.score([turn], {turn.id: outcome})
    assert scored["error_type"].to_list() == ["wrong number of class"]


def test_the_end_is_seen_from_the_third_message_on(checkout: Path, step: Row) -> None:
    model = Scripted(DONE, DONE)
    (outcome,) = agent.drive([step], checkout, model, execute=here)
    assert len(model.prompts) == 2 and outcome.ended == "finished"


def test_many_dialogues_share_their_rounds(checkout: Path, step: Row) -> None:
    sizes = []

    def ask(asked: Sequence[Prompt]) -> list[Completion]:
        sizes.append(len(asked))
        return [said("[turn_on()]" if len(sizes) == 1 else DONE)] * len(asked)

    copies = [replace(step, id=f"en/agent_multi_step_{number}") for number in range(5)]
    outcomes = agent.drive(copies, checkout, ask, execute=here)
    assert sizes == [5, 5]
    assert [outcome.row_id for outcome in outcomes] == [row.id for row in copies]


def test_a_simulated_user_is_needed_and_hears_only_what_is_said_to_it(
    checkout: Path, turn: Row
) -> None:
    with pytest.raises(ConfigError, match="simulates the user"):
        agent.drive([turn], checkout, Scripted(""))
    user = Scripted("Hello", "Yes", DONE)
    agent.drive([turn], checkout, Scripted("Sure?", "[look()]", "Bye."), user, execute=here)
    assert [message["content"] for message in user.prompts[-1].messages[2:]] == [
        *("Hello", "Sure?", "Yes", "Bye.")
    ]
    assert user.prompts[0].messages[0]["content"] == "You want: Send hi."


def test_the_official_prompt_tells_the_dialogue_as_text(
    checkout: Path, turn: Row, step: Row
) -> None:
    model = Scripted("[look()]", "Bye.")
    user = Scripted("Hello", DONE)
    agent.drive([turn], checkout, model, user, style="acebench", execute=here)
    system, told = (message["content"] for message in model.prompts[1].messages)
    assert system == "You are in multi_turn. Ask before you send."
    assert told.endswith("\nuser:Hello\nagent:[look()]\nexecution:['[False]']\n")
    model = Scripted("[look()]", DONE)
    agent.drive([step], checkout, model, style="acebench", execute=here)
    told = model.prompts[1].messages[1]["content"]
    assert told.endswith("\nuser:Send hi.\nexecution result:['[False]']\n")


def test_a_scenario_that_breaks_a_limit_ends_its_dialogue(checkout: Path, step: Row) -> None:
    def execute(items: Sequence[Any]) -> list[dict[str, Any]]:
        return [{sandbox.LIMITS: "more than 5 s"} for _ in items]

    (outcome,) = agent.drive([step], checkout, Scripted("[look()]"), execute=execute)
    assert outcome.ended == "more than 5 s" and outcome.states == []


def test_a_scenario_that_cannot_be_run_is_no_fault_of_the_model(checkout: Path, step: Row) -> None:
    row = replace(step, entry={**step.entry, "involved_classes": ["Bank"]})
    with pytest.raises(ConfigError, match="defines the class Bank"):
        agent.drive([row], checkout, Scripted("[look()]"))


def test_calls_change_every_class_that_has_the_method(checkout: Path, turn: Row) -> None:
    first, second = [ToolCall("turn_on", {})], [ToolCall("send", {"text": "hi"})]
    answer = worker.handle(item(checkout, turn, first, second))
    assert answer["results"] == [{"status": True}]
    assert answer["states"] == [
        {"BaseApi": {"on": True}},
        {"MessageApi": {"box": {"1": {"text": "old"}, "2": {"text": "hi"}}}},
    ]


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (ToolCall("_hidden", {}), "there is no function '_hidden'"),
        (ToolCall("__init__", {}), "there is no function '__init__'"),
        (ToolCall("box", {}), "there is no function 'box'"),
        (ToolCall("os.system", {}), "there is no function 'os.system'"),
        (ToolCall("send", {}), "missing 1 required positional argument"),
        (ToolCall("send", {"self": 1, "text": ""}), "multiple values for argument 'self'"),
        (ToolCall("explode", {}), "boom"),
    ],
)
def test_only_public_methods_are_called_and_errors_are_results(
    checkout: Path, turn: Row, call: ToolCall, result: str
) -> None:
    (said,) = worker.handle(item(checkout, turn, [call]))["results"]
    assert said.startswith("Error during execution: ") and result in said


def test_a_method_that_is_not_offered_is_called_as_officially(checkout: Path, turn: Row) -> None:
    assert "unlisted" not in {tool["name"] for tool in turn.tools}
    answer = worker.handle(item(checkout, turn, [ToolCall("unlisted", {})]))
    assert answer["results"] == ["not offered"]


@pytest.mark.parametrize(
    ("names", "alone", "with_a_user"),
    [
        (["turn_on"], True, True),
        (["explode", "turn_on"], True, False),
        (["turn_on", "explode"], True, True),
        (["unknown", "turn_on"], True, False),
        (["look", "unknown", "turn_on"], True, True),
    ],
)
def test_with_a_user_a_failure_ends_its_step(
    checkout: Path, turn: Row, names: list[str], alone: bool, with_a_user: bool
) -> None:
    asked = item(checkout, turn, [ToolCall(name, {}) for name in names])
    for scenario, on in (("multi_step", alone), ("multi_turn", with_a_user)):
        # what a failed step leaves behind shows once a later one runs through
        look = [{"name": "look", "arguments": {}}]
        answer = worker.handle({**asked, "scenario": scenario, "steps": [*asked["steps"], look]})
        assert answer["states"][0] == {"BaseApi": {"on": on}}
        assert len(worker.handle({**asked, "scenario": scenario})["results"]) == len(names)


def test_with_a_user_there_are_no_states_while_every_step_failed(checkout: Path, turn: Row) -> None:
    failing = [ToolCall("turn_on", {}), ToolCall("explode", {})]
    assert worker.handle(item(checkout, turn, failing, failing))["states"] == []
    assert worker.handle(item(checkout, turn, failing, [ToolCall("look", {})]))["states"]
    alone = {**item(checkout, turn, failing), "scenario": "multi_step"}
    assert worker.handle(alone)["states"][0] == {"BaseApi": {"on": True}}


@pytest.mark.parametrize(
    ("said", "alone", "with_a_user"),
    [
        ("[turn_on()]", True, True),
        (" [turn_on()]", True, True),
        ("[[turn_on()]]", True, True),
        ("'[turn_on()]'", True, True),
        ("(turn_on(), look())", True, False),
        ("turn_on()", True, False),
        ("[turn_on()", True, False),
        ("[turn_on(),\nlook()]", False, False),
        ("[turn_on()]\n", False, False),
        ("  [turn_on()]", False, False),
        ("I do: [turn_on()]", False, False),
        ("[turn_on(), then]", False, False),
        ("[send(text={'hi': 1}), turn_on()]", False, False),
        ("<think>On it.</think>\n[turn_on()]", True, True),
    ],
)
def test_what_an_agent_says_is_read_as_officially(
    checkout: Path, step: Row, turn: Row, said: str, alone: bool, with_a_user: bool
) -> None:
    outcomes = [
        agent.drive([row], checkout, Scripted(said, DONE), Scripted("Go.", DONE), execute=here)[0]
        for row in (step, turn)
    ]
    on = [{"BaseApi": {"on": True}} in outcome.states for outcome in outcomes]
    assert on == [alone, with_a_user]
    assert outcomes[0].process[0] == said.removeprefix("<think>On it.</think>\n")


def test_values_that_json_cannot_hold_make_no_call(checkout: Path, step: Row) -> None:
    model = Scripted("[send(text=b'hi'), turn_on()]", DONE)
    (outcome,) = agent.drive([step], checkout, model, execute=here)
    assert outcome.states == []


def test_a_single_word_is_a_list_of_no_calls(checkout: Path, step: Row) -> None:
    (outcome,) = agent.drive([step], checkout, Scripted("Done", DONE), execute=here)
    assert outcome.states[0] == {"BaseApi": {"on": False}}
    assert [message["role"] for message in outcome.messages[-3:]] == [
        *("assistant", "user", "assistant")
    ]


def test_an_unknown_class_is_an_error_of_the_item(checkout: Path, turn: Row) -> None:
    with pytest.raises(LookupError, match="no scenariosen defines the class Bank"):
        worker.handle({**item(checkout, turn), "classes": ["Bank"]})


@pytest.mark.parametrize(
    ("states", "valid", "strict"),
    [
        ([{"BaseApi": {"on": True}}, {"MessageApi": {"box": {}}}], True, False),
        ([{"BaseApi": {"on": True}}, {"Anything": {}}], True, False),
        ([{"BaseApi": {}}, {"Anything": {}}], True, False),
        ([{"BaseApi": {"on": False}}, {"Anything": {}}], False, False),
        ([{"BaseApi": {"on": True, "off": 1}}, {"Anything": {}}], False, False),
        ([{"BaseApi": {"on": True}}], False, False),
    ],
)
def test_end_states(turn: Row, states: list[dict[str, Any]], valid: bool, strict: bool) -> None:
    assert (agent.official_fault(turn, states) is None) == valid
    assert agent.is_strictly_right(turn, states) == strict


@pytest.mark.parametrize(
    ("milestones", "process", "share"),
    [
        (["a", "b"], ["x", "a ", "b"], 1.0),
        (["a", "b"], ["b", "a"], 0.5),
        (["a", "b"], ["b"], 0.0),
        ([["a", "b", "c"], ["c"]], ["a"], 0.333),
        ([], [], 1.0),
    ],
)
def test_milestones_count_in_order_and_exact_text(
    turn: Row, milestones: list[Any], process: list[str], share: float
) -> None:
    outcome = agent.Outcome(turn.id, [], process, [], "finished")
    assert agent.process_accuracy(replace(turn, milestones=milestones), outcome) == share


def test_results_are_written_for_the_official_runner(checkout: Path, tmp_path: Path) -> None:
    found = rows(checkout, "en", ["normal_atom_bool", "agent_multi_step"])
    calls = [ToolCall("weather_get", {"city": "Rome", "rain": True})]
    texts = {"en/normal_atom_bool_2": said(f"<think>hm</think>{render(calls)}")}
    outcome = agent.Outcome("en/agent_multi_step_0", [{"BaseApi": {"on": True}}], ["x"], [], "")
    paths = exports.write_results(tmp_path, "mine-1", found, texts, {outcome.row_id: outcome})
    folder = tmp_path / "result_all" / "result_en" / "mine-1"
    assert paths == [
        folder / "data_agent_multi_step_result.json",
        folder / "data_normal_atom_bool_result.json",
    ]
    assert json.loads(paths[0].read_text()) == {
        "id": "agent_multi_step_0",
        "result": [{"BaseApi": {"on": True}}],
        "process": ["x"],
    }
    lines = [json.loads(line) for line in paths[1].read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"normal_atom_bool_{n}" for n in range(3)]
    assert lines[2]["result"] == "[weather_get(city='Rome', rain=True)]"
    assert lines[0]["result"] == ""


@pytest.mark.parametrize("name", ["", "..", "a/b", "my-FC-model"])
def test_a_name_that_the_official_runner_misreads_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a model's name"):
        exports.write_results(tmp_path, name, [], {}, {})


def test_prompts_are_ours_or_those_of_the_checkout(checkout: Path) -> None:
    row = rows(checkout, "en", ["normal_preference"])[0]
    assert prompts.prompt(row, "native", checkout) == Prompt(row.messages, row.tools)
    official = prompts.prompt(row, "acebench", checkout)
    assert official.tools == ()
    assert official.messages[0]["content"].startswith("PREFERENCE: {'home': 'Bonn'} [{'name'")
    assert official.messages[1]["content"] == "So far:\nuser: mine"


def test_a_constant_that_is_missing_or_computed_is_an_error_that_names_it(checkout: Path) -> None:
    for name in ("NO_SUCH_PROMPT", "COMPUTED"):
        with pytest.raises(ConfigError, match=f"gives {name} a literal value"):
            prompts.constant(checkout, name)


def test_a_template_that_wants_more_than_names_is_refused(tmp_path: Path, checkout: Path) -> None:
    row = rows(checkout, "en", ["normal_preference"])[0]
    for number, template in enumerate(("{profile.__class__}", "{}", "{other}", "{", 3)):
        folder = tmp_path / str(number) / "model_inference"
        folder.mkdir(parents=True)
        name = "SYSTEM_PROMPT_FOR_PREFERENCE_DATA_EN"
        (folder / "prompt.py").write_text(f"{name} = {template!r}\n")
        with pytest.raises(ConfigError, match="a prompt there"):
            prompts.prompt(row, "acebench", folder.parent)


def test_a_prompt_that_the_model_refused_ends_the_dialogue(checkout: Path, step: Row) -> None:
    refusal = Completion("", 0, None, "refused", "the prompt has 9000 tokens")
    (outcome,) = agent.drive([step], checkout, lambda asked: [refusal] * len(asked), execute=here)
    assert outcome.ended == "refused"
    (row,) = agent.score([step], {step.id: outcome}).to_dicts()
    assert (row["valid"], row["error_type"]) == (False, "refused")
