"""A small checkout of our own in ACEBench's layout, and where to find samples of the real data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

SAMPLE = Path(__file__).resolve().parents[4] / "shared" / "acebench-sample"

WEATHER = {
    "name": "weather_get",
    "description": "Weather of a place.",
    "parameters": {
        "type": "dict",
        "properties": {
            "city": {"type": "string", "description": "Where."},
            "days": {"type": "integer"},
            "rain": {"type": "boolean", "required": True},
            "factor": {"type": "float"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "place": {"type": "object", "properties": {"name": {"type": "string"}}},
            "stops": {"type": "array", "items": {"type": "object"}},
        },
        "required": ["city"],
    },
}
OTHER = {"name": "other", "description": "", "arguments": {"type": "object", "properties": {}}}
LIGHTS = [
    {"name": name, "description": name, "parameters": {"type": "dict", "properties": {}}}
    for name in ("turn_on", "send", "look", "explode")
]
NORMAL = [
    (
        {"city": "New York", "days": 3, "rain": True, "tags": ["a", "b"]},
        "user: Weather in New York?\nsystem: Which system: user: days?\nuser: 3",
    ),
    ({"city": "Bern", "factor": 2, "place": {"name": "Old Town"}}, "user: Bern\n"),
    ({"city": "Rome", "stops": [{"name": "Gate"}]}, "Rome"),
]
PROMPTS = {
    f"SYSTEM_PROMPT_FOR_{kind}_DATA_EN": f"{kind}: {{time}}{{profile}} {{function}}"
    for kind in ("NORMAL", "SPECIAL", "PREFERENCE")
} | {
    "USER_PROMPT_EN": "So far:\n{question}",
    "BASE_PROMPT_EN": "Ask before you send.",
    "SYSTEM_PROMPT_BASE_EN": "You want: {instruction}",
}
SCENARIO = """
class BaseApi:
    def __init__(self):
        self.on = False

    def _load_scenario(self, scenario, long_context=False):
        self.on = scenario.get("on", False)

    def turn_on(self):
        self.on = True
        return {"status": True}

    def _hidden(self):
        raise SystemExit
"""
MESSAGES = """
from model_inference.multi_turn.scenariosen.base import BaseApi

class MessageApi(BaseApi):
    def __init__(self):
        super().__init__()
        self.box = {1: {"text": "old"}}
        self.secret = 7

    def send(self, text):
        if not self.on:
            return "it is off"
        self.box[len(self.box) + 1] = {"text": text}
        return {"status": True}

    def look(self):
        return [self.on]

    def explode(self):
        raise RuntimeError("boom")

    def unlisted(self):
        return "not offered"
"""


def write_lines(path: Path, entries: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), encoding="utf-8")


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("acebench")
    data: dict[str, list[tuple[dict[str, Any], dict[str, Any]]]] = {
        "normal_atom_bool": [
            (
                {"question": question, "function": [OTHER, WEATHER], "time": "It is noon."},
                {"ground_truth": {"weather_get": answer}},
            )
            for answer, question in NORMAL
        ],
        "normal_single_turn_parallel_function": [
            (
                {"question": "user: two", "function": [WEATHER], "time": ""},
                {
                    "ground_truth": [
                        {"weather_get_1": {"city": "A"}, "weather_get_2": {"city": "B"}},
                        {"weather_get": {"city": "A and B"}},
                    ]
                },
            )
        ],
        "normal_preference": [
            (
                {"question": "user: mine", "function": [WEATHER], "profile": "{'home': 'Bonn'}"},
                {"ground_truth": {"weather_get": {"city": "Bonn"}}},
            )
        ],
        "special_incomplete": [
            (
                {"question": "user: weather?", "function": [WEATHER], "time": ""},
                {"ground_truth": {"weather_get": ["cityName", "days"]}},
            )
        ],
        "special_error_param": [
            (
                {"question": "user: weather in X1?", "function": [WEATHER], "time": ""},
                {"ground_truth": {"city": ["X1"]}},
            )
        ],
        "special_irrelevant": [
            (
                {"question": "user: sing", "function": [WEATHER], "time": ""},
                {"ground_truth": "Due to the limitations of the function, no."},
            )
        ],
    }
    for category, pairs in data.items():
        ids = [f"{category}_{number}" for number in range(len(pairs))]
        write_lines(
            root / f"data_all/data_en/data_{category}.json",
            [{"id": name, **entry} for name, (entry, _) in zip(ids, pairs, strict=True)],
        )
        write_lines(
            root / f"data_all/data_en/possible_answer/data_{category}.json",
            [{"id": name, **answer} for name, (_, answer) in zip(ids, pairs, strict=True)],
        )
    for category in ("normal_multi_turn_user_adjust", "normal_multi_turn_user_switch"):
        ids = [f"{category}_{dialogue}_{turn}" for dialogue in range(4) for turn in range(3)]
        history = 'system: [weather_get(city="A", rain=true)]\nsystem: Sunny.\nuser: And B?\n'
        entry = {"question": f"user: A?\n{history}", "function": [WEATHER], "time": ""}
        write_lines(
            root / f"data_all/data_en/data_{category}.json", [{"id": i, **entry} for i in ids]
        )
        write_lines(
            root / f"data_all/data_en/possible_answer/data_{category}.json",
            [{"id": i, "ground_truth": {"weather_get": {"city": "B"}}} for i in ids],
        )
    scene = {
        "question": "Send hi.",
        "initial_config": {"BaseApi": {"on": False}},
        "function": LIGHTS,
        "involved_classes": ["BaseApi", "MessageApi"],
    }
    end = [
        {"BaseApi": {"on": True}},
        {"MessageAPI": {"box": {"1": {"text": "old"}, "2": {"text": "hi"}}}},
    ]
    stones = ["[turn_on()]", "[send(text='hi')]"]
    for category in ("agent_multi_step", "agent_multi_turn"):
        name = f"{category}_0"
        write_lines(root / f"data_all/data_en/data_{category}.json", [{"id": name, **scene}])
        write_lines(
            root / f"data_all/data_en/possible_answer/data_{category}.json",
            [{"id": name, "ground_truth": end, "mile_stone": stones}],
        )
    inference = root / "model_inference"
    (inference / "multi_turn" / "scenariosen").mkdir(parents=True)
    constants = "".join(f"{name} = {text!r}\n" for name, text in PROMPTS.items())
    (inference / "prompt_en.py").write_text("import not_there\n" + constants)
    (inference / "running.py").write_text(
        "import not_there\n"
        "SAVED_CLASS = {'BaseApi': ['on'], 'MessageApi': ['box']}\nCOMPUTED = str(1)\n"
    )
    for folder in ("multi_step", "multi_turn"):
        (inference / folder).mkdir(exist_ok=True)
        (inference / folder / "agent.py").write_text(
            f"MULTI_TURN_AGENT_PROMPT_SYSTEM_EN = 'You are in {folder}. '\n"
            "MULTI_TURN_AGENT_PROMPT_USER_EN = '{functions}\\n{history}'\n"
        )
    (inference / "multi_turn/scenariosen/base.py").write_text(SCENARIO)
    (inference / "multi_turn/scenariosen/message.py").write_text(MESSAGES)
    return root


@pytest.fixture(scope="session")
def sample() -> Path:
    if not SAMPLE.is_dir():
        pytest.skip("the benchmark's own rows are not here")
    return SAMPLE
