"""The LLM author: a large model writes tools with the two trees and plays all four agents.

Dialogues advance together: each agent's turn is one batch of requests. A turn that breaks the rules
is requested once more with the reason; if the second attempt breaks them too, the dialogue is
refused. Every turn of the assistant becomes a sample. The assistant never sees the plan: it must
find the planned calls from the tools and the conversation alone, which shows that the sample can be
solved.
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
from looptool.core.answers import label_message, result_message
from looptool.core.samples import Label, Message, category_of, sample_id
from looptool.core.tools import Tool, read_tools
from looptool.engines.dialogues import ANSWER, CALLS, TEXT, object_schema
from looptool.engines.roles import Cast, Question, Role, load_template
from looptool.synthesis import Author, Draft, Split
from looptool.synthesis.heldout import known_to
from looptool.synthesis.llm_tools import write_tools
from looptool.synthesis.scripts import KINDS, Turn, as_planned, said, script_of

TOOLS_EACH = 0.5  # tools written per dialogue
FAILING = 0.1  # probability that a dialogue has calls that fail with an error from the tool
_SEVERAL = ("multiple", "parallel_multiple", "multi_step")  # kinds that need at least two tools


PLAN = object_schema(
    turns={
        "type": "array",
        "items": object_schema(wish=TEXT, rounds={"type": "array", "items": CALLS, "maxItems": 4}),
        "minItems": 1,
        "maxItems": 4,
    },
    withheld={"type": "array", "items": {"type": "string"}},
)
MESSAGE = object_schema(message=TEXT)
ACTION = object_schema(thinking={"type": "string", "maxLength": 4000}, answer=ANSWER)
RESULTS = object_schema(results={"type": "array", "maxItems": 16})


@dataclass
class Dialogue:
    """A dialogue in progress.

    Attributes:
        script: the turns that remain to be played.
        failure: (check, reason) if an agent broke the rules twice.
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
    """An author that asks a large language model.

    Args:
        heldout: tools of the held-out split; the author writes no tool similar to one of them.
        own: the user's own tools. If given, the author writes dialogues about these and no tools.
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
        """Return up to `count` drafts, plus refused drafts of tools and dialogues; see `Author`.

        Dialogues may use tools from earlier calls. New tools are similar to none of those.
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
        while going := [d for d in dialogues if d.script and d.failure is None]:
            for speaker, play in (
                ("user", self._speak),
                ("assistant", self._act),
                ("tool", self._respond),
            ):
                play([d for d in going if d.script and d.script[0].speaker == speaker
                      and d.failure is None])  # fmt: skip
        made = [sample for d in dialogues if not d.failure for sample in d.samples]
        broken = [Draft(d.tools, d.messages, {}, d.kind, d.failure) for d in dialogues if d.failure]
        return [*made[:count], *broken, *refused]

    def _plan(self, dialogues: Sequence[Dialogue]) -> None:
        self._wave(
            "plan",
            PLAN,
            dialogues,
            lambda dialogue: {
                "tools": dialogue.tools,
                "kind": KINDS[dialogue.kind],
                "persona": dialogue.persona,
                "number": dialogue.identity[:6],
            },
            lambda dialogue, data: script_of(data, dialogue.kind, dialogue.tools),
            lambda dialogue, script: dialogue.script.extend(script),
        )

    def _speak(self, dialogues: Sequence[Dialogue]) -> None:
        self._wave(
            "user",
            MESSAGE,
            dialogues,
            lambda dialogue: {
                "persona": dialogue.persona,
                "style": dialogue.style,
                "messages": dialogue.messages,
                "wish": dialogue.script[0].wish,
                "values": dialogue.script[0].given,
                "withheld": list(dialogue.script[0].hidden),
            },
            lambda dialogue, data: said(data["message"], dialogue.script[0].hidden),
            lambda dialogue, text: dialogue.messages.append({"role": "user", "content": text}),
        )

    def _act(self, dialogues: Sequence[Dialogue]) -> None:
        def done(dialogue: Dialogue, label: Label) -> None:
            known = "clarify" if dialogue.kind == "clarify" else "irrelevant"
            category = category_of(dialogue.tools, dialogue.messages, label, known)
            sample = Draft(dialogue.tools, list(dialogue.messages), label, category)
            dialogue.samples.append(sample)
            dialogue.messages.append(label_message(label))

        self._wave(
            "assistant",
            ACTION,
            dialogues,
            lambda dialogue: {"tools": dialogue.tools, "messages": dialogue.messages},
            lambda dialogue, data: as_planned(
                data["answer"], dialogue.script[0].label, dialogue.tools
            ),
            done,
        )

    def _respond(self, dialogues: Sequence[Dialogue]) -> None:
        def results(dialogue: Dialogue, data: Any) -> list[Message]:
            calls = dialogue.script[0].label["calls"]
            if len(data["results"]) != len(calls):
                raise ValueError(f"results: {len(data['results'])} for {len(calls)} calls")
            return [
                result_message(call["name"], canonical.dumps(result))
                for call, result in zip(calls, data["results"], strict=True)
            ]

        self._wave(
            "respond",
            RESULTS,
            dialogues,
            lambda dialogue: {
                "tools": dialogue.tools,
                "messages": dialogue.messages,
                "calls": dialogue.script[0].label["calls"],
                # In multi_step dialogues a planned call needs the result.
                "failing": dialogue.failing and dialogue.kind != "multi_step",
            },
            results,
            lambda dialogue, messages: dialogue.messages.extend(messages),
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
        """Let one agent take its turn in all dialogues; record each result or failure."""

        def question(dialogue: Dialogue) -> Question[Any]:
            about = dialogue.identity
            if prompt == "assistant":
                about = sample_id(dialogue.tools, dialogue.messages)
            return Question(
                about, fields(dialogue), lambda data: read(dialogue, data), dialogue.identity
            )

        replies = self.role.ask(
            load_template("synthesis", prompt), [question(d) for d in dialogues], schema
        )
        for dialogue, reply in zip(dialogues, replies, strict=True):
            if reply.error is not None:
                dialogue.failure = (f"agent:{prompt}", reply.error)
                continue
            playing = bool(dialogue.script)  # the planner writes the script and takes no turn of it
            done(dialogue, reply.value)
            if playing:
                dialogue.script.pop(0)


def _cast(
    tools: Sequence[Tool], shares: Mapping[str, float], seed: str, rng: random.Random
) -> Dialogue:
    """Set up a dialogue: draw its kind, its tools and the user's persona and style."""
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
    """Return the LLM author; see `synthesis.make_author`."""
    own = read_tools(settings.tools) if settings.tools else ()
    return LLMAuthor(cast.play(settings.author, settings.author.model), heldout, own)
