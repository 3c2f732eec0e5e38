"""The LLM author: a large model writes tools over the two trees, and plays all four agents.

Dialogues advance together, a wave of requests for each agent's turn. A turn that breaks the rules
is asked for once more with the reason; a dialogue in which it breaks them again is refused. Every
turn of the assistant becomes a sample. The assistant never sees the plan: its calls must come out
as planned from tools and conversation alone, so that a sample is known to be solvable.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from looptool.core import canonical, params
from looptool.core.samples import Label, Message, category_of, sample_id
from looptool.core.tools import Tool, read_tools
from looptool.engines.dialogues import ANSWER, CALLS, TEXT, assistant_message
from looptool.engines.roles import Cast, Question, Role, load_template
from looptool.synthesis import Author, Draft, Split
from looptool.synthesis.heldout import known_to
from looptool.synthesis.llm_tools import write_tools
from looptool.synthesis.scripts import KINDS, Turn, as_planned, said, script_of

TOOLS_EACH = 0.5  # tools written for each dialogue
FAILING = 0.1  # chance that a call fails and the tool says so
_SEVERAL = ("multiple", "parallel_multiple", "multi_step")  # want two tools at least


def _object(**properties: Any) -> Mapping[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PLAN = _object(
    turns={
        "type": "array",
        "items": _object(wish=TEXT, rounds={"type": "array", "items": CALLS, "maxItems": 4}),
        "minItems": 1,
        "maxItems": 4,
    },
    withheld={"type": "array", "items": {"type": "string"}},
)
MESSAGE = _object(message=TEXT)
ACTION = _object(thinking={"type": "string", "maxLength": 4000}, answer=ANSWER)
RESULTS = _object(results={"type": "array", "maxItems": 16})


@dataclass
class Dialogue:
    """One dialogue on its way.

    Attributes:
        script: the turns that are still to come.
        failure: (check, reason) once an agent broke the rules twice.
    """

    identity: str
    tools: list[Tool]
    kind: str
    persona: str
    style: str
    failing: bool
    messages: list[Message] = field(default_factory=list)
    script: list[Turn] = field(default_factory=list)
    samples: list[Draft] = field(default_factory=list)
    failure: tuple[str, str] | None = None


class LLMAuthor:
    """An author played by a large model.

    Args:
        heldout: tools that training must not know; none that it writes is like one of them.
        own: the user's tools: then it writes dialogues about these, and no tools.
    """

    portable = False
    exact = False

    def __init__(self, role: Role, heldout: Sequence[Tool] = (), own: Sequence[Tool] = ()) -> None:
        self.role = role
        self.heldout = heldout
        self.own = own
        self.tools: list[Tool] = []
        self.name = f"llm:{role.model}"

    def write(
        self, count: int, *, seed: str, split: Split, shares: Mapping[str, float]
    ) -> list[Draft]:
        """Return up to `count` drafts, and what broke the rules as refused ones; see `Author`.

        Tools that it wrote before may appear again; new ones are like none of them.
        """
        rng = random.Random(f"llm/{seed}/{split}")
        refused: list[Draft] = []
        if self.own:
            self.tools = list(known_to(split, self.own))
        else:
            wanted = max(4, round(count * TOOLS_EACH))
            known = [*self.heldout, *self.tools]
            tools, refused = write_tools(self.role, wanted, rng, split, known)
            self.tools += tools
        if not self.tools:
            return refused
        dialogues = [_cast(self.tools, shares, f"{seed}/{number}", rng) for number in range(count)]
        self._plan(dialogues)
        while going := [each for each in dialogues if each.script and each.failure is None]:
            for speaker, play in (
                ("user", self._speak),
                ("assistant", self._act),
                ("tool", self._respond),
            ):
                play([each for each in going if each.script and each.script[0].speaker == speaker
                      and each.failure is None])  # fmt: skip
        made = [sample for each in dialogues if not each.failure for sample in each.samples]
        broken = [
            Draft(each.tools, each.messages, {}, each.kind, each.failure)
            for each in dialogues
            if each.failure
        ]
        return [*made[:count], *broken, *refused]

    def _plan(self, dialogues: Sequence[Dialogue]) -> None:
        self._wave(
            "plan",
            PLAN,
            dialogues,
            lambda each: {
                "tools": each.tools,
                "kind": KINDS[each.kind],
                "persona": each.persona,
                "number": each.identity[:6],
            },
            lambda each, data: script_of(data, each.kind, each.tools),
            lambda each, script: each.script.extend(script),
        )

    def _speak(self, dialogues: Sequence[Dialogue]) -> None:
        self._wave(
            "user",
            MESSAGE,
            dialogues,
            lambda each: {
                "persona": each.persona,
                "style": each.style,
                "messages": each.messages,
                "wish": each.script[0].wish,
                "values": each.script[0].given,
                "withheld": list(each.script[0].hidden),
            },
            lambda each, data: said(data["message"], each.script[0].hidden),
            lambda each, text: each.messages.append({"role": "user", "content": text}),
        )

    def _act(self, dialogues: Sequence[Dialogue]) -> None:
        def done(each: Dialogue, label: Label) -> None:
            known = "clarify" if each.kind == "clarify" else "irrelevant"
            category = category_of(each.tools, each.messages, label, known)
            sample = Draft(each.tools, list(each.messages), label, category)
            each.samples.append(sample)
            each.messages.append(assistant_message(label))

        self._wave(
            "assistant",
            ACTION,
            dialogues,
            lambda each: {"tools": each.tools, "messages": each.messages},
            lambda each, data: as_planned(data["answer"], each.script[0].label, each.tools),
            done,
        )

    def _respond(self, dialogues: Sequence[Dialogue]) -> None:
        def results(each: Dialogue, data: Any) -> list[Message]:
            calls = each.script[0].label["calls"]
            if len(data["results"]) != len(calls):
                raise ValueError(f"results: {len(data['results'])} for {len(calls)} calls")
            return [
                {"role": "tool", "name": call["name"], "content": canonical.dumps(result)}
                for call, result in zip(calls, data["results"], strict=True)
            ]

        self._wave(
            "respond",
            RESULTS,
            dialogues,
            lambda each: {
                "tools": each.tools,
                "messages": each.messages,
                "calls": each.script[0].label["calls"],
                # not where a planned call needs the result
                "failing": each.failing and each.kind != "multi_step",
            },
            results,
            lambda each, messages: each.messages.extend(messages),
        )

    def _wave(
        self,
        prompt: str,
        schema: Mapping[str, Any],
        dialogues: Sequence[Dialogue],
        fields: Callable[[Dialogue], Mapping[str, Any]],
        read: Callable[[Dialogue, Any], Any],
        done: Callable[[Dialogue, Any], None],
    ) -> None:
        """Have one agent take its turn in all dialogues; go on with each, or end it."""

        def question(each: Dialogue) -> Question[Any]:
            about = sample_id(each.tools, each.messages) if prompt == "assistant" else each.identity
            return Question(about, fields(each), lambda data: read(each, data), each.identity)

        replies = self.role.ask(
            load_template("synthesis", prompt), [question(each) for each in dialogues], schema
        )
        for each, reply in zip(dialogues, replies, strict=True):
            if reply.error is not None:
                each.failure = (f"agent:{prompt}", reply.error)
                continue
            playing = bool(each.script)  # all agents but the planner take a turn of the script
            done(each, reply.value)
            if playing:
                each.script.pop(0)


def _cast(
    tools: Sequence[Tool], shares: Mapping[str, float], seed: str, rng: random.Random
) -> Dialogue:
    """Return a dialogue to be played: its kind, its tools, who the user is."""
    kind = rng.choices(list(shares), weights=list(shares.values()))[0]
    least, most = (2 if kind in _SEVERAL else 1), (1 if kind == "single" else 4)
    voices = _voices()
    return Dialogue(
        canonical.digest("dialogue", seed),
        rng.sample(list(tools), min(len(tools), rng.randint(least, max(least, most)))),
        kind,
        rng.choice(voices["personas"]),
        rng.choice(voices["styles"]),
        rng.random() < FAILING,
    )


@lru_cache
def _voices() -> Mapping[str, Sequence[str]]:
    path = Path(__file__).parent / "data" / "personas.yaml"
    voices: Mapping[str, Sequence[str]] = YAML(typ="safe", pure=True).load(path)
    return voices


def make_author(settings: params.Generate, cast: Cast, heldout: Sequence[Tool]) -> Author:
    """Return the author that `generate.author: llm` names."""
    own = read_tools(settings.tools) if settings.tools else ()
    return LLMAuthor(cast.play(settings.author, settings.author.model), heldout, own)
