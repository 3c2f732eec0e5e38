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
from functools import lru_cache, partial
from typing import Any

from looptool.core import canonical, params
from looptool.core.answers import label_message, result_message
from looptool.core.packaged import read_yaml
from looptool.core.samples import Label, Message, category_of, sample_id
from looptool.core.tools import Tool, read_tools
from looptool.engines.dialogues import ANSWER, CALLS, TEXT, object_schema
from looptool.engines.roles import Cast, Question, Role, load_template
from looptool.synthesis import Author, Draft, Split
from looptool.synthesis.api_synthesis import write_tools
from looptool.synthesis.scripts import KINDS, Turn, as_planned, said, script_of
from looptool.synthesis.tool_split import tools_of_split

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


@dataclass(frozen=True, slots=True)
class Agent:
    """One of the agents that make a dialogue.

    Attributes:
        prompt: the name of its prompt file.
        fields: the values for its prompt.
        read: checks its answer against the dialogue and converts it; raises ValueError to refuse.
        act: adds to the dialogue what `read` returned.
        subject: the id of what a request is about: the dialogue, or a sample of it.
    """

    prompt: str
    schema: Mapping[str, Any]
    fields: Callable[[Dialogue], Mapping[str, Any]]
    read: Callable[[Dialogue, Any], Any]
    act: Callable[[Dialogue, Any], None]
    subject: Callable[[Dialogue], str] = lambda dialogue: dialogue.identity


def _user_says(dialogue: Dialogue, text: str) -> None:
    dialogue.messages.append({"role": "user", "content": text})
    dialogue.script.pop(0)


def _assistant_answers(dialogue: Dialogue, label: Label) -> None:
    """Make a sample of the conversation so far and the answer, then add the answer to it."""
    known = "clarify" if dialogue.kind == "clarify" else "irrelevant"
    category = category_of(dialogue.tools, dialogue.messages, label, known)
    sample = Draft(dialogue.tools, list(dialogue.messages), label, category)
    dialogue.samples.append(sample)
    dialogue.messages.append(label_message(label))
    dialogue.script.pop(0)


def _results(dialogue: Dialogue, data: Any) -> list[Message]:
    """Return one tool message per planned call."""
    calls = dialogue.script[0].label["calls"]
    if len(data["results"]) != len(calls):
        raise ValueError(f"results: {len(data['results'])} for {len(calls)} calls")
    return [
        result_message(call["name"], canonical.dumps(result))
        for call, result in zip(calls, data["results"], strict=True)
    ]


def _tools_respond(dialogue: Dialogue, messages: list[Message]) -> None:
    dialogue.messages.extend(messages)
    dialogue.script.pop(0)


PLANNER = Agent(
    "plan",
    PLAN,
    fields=lambda dialogue: {
        "tools": dialogue.tools,
        "kind": KINDS[dialogue.kind],
        "persona": dialogue.persona,
        "number": dialogue.identity[:6],
    },
    read=lambda dialogue, data: script_of(data, dialogue.kind, dialogue.tools),
    act=lambda dialogue, script: dialogue.script.extend(script),
)
USER = Agent(
    "user",
    MESSAGE,
    fields=lambda dialogue: {
        "persona": dialogue.persona,
        "style": dialogue.style,
        "messages": dialogue.messages,
        "wish": dialogue.script[0].wish,
        "values": dialogue.script[0].given,
        "withheld": list(dialogue.script[0].hidden),
    },
    read=lambda dialogue, data: said(data["message"], dialogue.script[0].hidden),
    act=_user_says,
)
ASSISTANT = Agent(
    "assistant",
    ACTION,
    fields=lambda dialogue: {"tools": dialogue.tools, "messages": dialogue.messages},
    read=lambda dialogue, data: as_planned(
        data["answer"], dialogue.script[0].label, dialogue.tools
    ),
    act=_assistant_answers,
    subject=lambda dialogue: sample_id(dialogue.tools, dialogue.messages),
)
TOOL = Agent(
    "respond",
    RESULTS,
    fields=lambda dialogue: {
        "tools": dialogue.tools,
        "messages": dialogue.messages,
        "calls": dialogue.script[0].label["calls"],
        # In multi_step dialogues a planned call needs the result.
        "failing": dialogue.failing and dialogue.kind != "multi_step",
    },
    read=_results,
    act=_tools_respond,
)
SPEAKERS = {"user": USER, "assistant": ASSISTANT, "tool": TOOL}


class LLMAuthor:
    """An author that asks a large language model.

    Args:
        heldout: tools of the held-out split; the author writes no tool similar to one of them.
        own: the user's own tools. If given, the author writes dialogues about these and no tools.
    """

    portable = False
    exact = False

    def __init__(
        self, role: Role, heldout: Sequence[Tool] = (), user_tools: Sequence[Tool] = ()
    ) -> None:
        self.role = role
        self.heldout = heldout
        self.user_tools = user_tools
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
        if self.user_tools:
            self.tools = list(tools_of_split(split, self.user_tools))
        else:
            wanted = max(4, round(count * TOOLS_EACH))
            known = [*self.heldout, *self.tools]
            tools, refused = write_tools(self.role, wanted, rng, split, known)
            self.tools += tools
        if not self.tools:
            return refused
        dialogues = [
            _new_dialogue(self.tools, shares, f"{seed}/{number}", rng) for number in range(count)
        ]
        self._ask(PLANNER, dialogues)
        while going := [d for d in dialogues if d.script and d.failure is None]:
            for speaker, agent in SPEAKERS.items():
                self._ask(agent, [d for d in going if d.script and d.failure is None
                                   and d.script[0].speaker == speaker])  # fmt: skip
        made = [sample for d in dialogues if not d.failure for sample in d.samples]
        broken = [Draft(d.tools, d.messages, {}, d.kind, d.failure) for d in dialogues if d.failure]
        return [*made[:count], *broken, *refused]

    def _ask(self, agent: Agent, dialogues: Sequence[Dialogue]) -> None:
        """Let one agent act in all dialogues; record each result or failure."""
        questions = [
            Question(
                agent.subject(dialogue),
                agent.fields(dialogue),
                partial(agent.read, dialogue),
                dialogue.identity,
            )
            for dialogue in dialogues
        ]
        replies = self.role.ask(load_template("synthesis", agent.prompt), questions, agent.schema)
        for dialogue, reply in zip(dialogues, replies, strict=True):
            if reply.error is not None:
                dialogue.failure = (f"agent:{agent.prompt}", reply.error)
            else:
                agent.act(dialogue, reply.value)


def _new_dialogue(
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
    voices: Mapping[str, Sequence[str]] = read_yaml(__package__, "data/personas.yaml")
    return voices


def make_author(settings: params.Generate, cast: Cast, heldout: Sequence[Tool]) -> Author:
    """Return the LLM author; see `synthesis.make_author`."""
    user_tools = read_tools(settings.tools) if settings.tools else ()
    assert isinstance(settings.author, params.LLM)  # checked in core/params.py
    return LLMAuthor(cast.play(settings.author), heldout, user_tools)
