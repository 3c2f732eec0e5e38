"""A scripted model behind a real HTTP server: plays author, judge and expander by fixed rules.

What it answers depends on the prompt alone, so that a test can work out what must come of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections import Counter
from typing import Any

from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

MODEL = "scripted"
_FENCE = re.compile(r"<data-([0-9a-f]{8}) ([\w -]+)>\n(.*?)\n</data-\1>", re.S)


def share(*parts: object) -> int:
    """A number from 0 to 99 that depends on the parts alone."""
    return int(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8], 16) % 100


def is_right(messages: Any, answer: Any) -> bool:
    """Whether the scripted judge holds an answer for right, whatever its place."""
    return share("right", messages, answer) < 60


def is_biased(messages: Any) -> bool:
    """Whether it looks at A alone in this conversation."""
    return share("biased", messages) < 10


def is_garbled(messages: Any) -> bool:
    """Whether it never writes JSON on this conversation."""
    return share("garbled", messages) < 5


def is_admitted(messages: Any, answer: Any) -> bool:
    return share("admitted", messages, answer) < 80


class ScriptedModel:
    """Answers chat requests; now and then with a fault first, where `faults` says so.

    Attributes:
        asked: answered requests by what they ask for.
        times: how often each request, word for word, was answered.
        faults: every so many-th request is answered by a fault the first time that it comes.
    """

    def __init__(self, server: HTTPServer, faults: int = 0) -> None:
        self.asked: Counter[str] = Counter()
        self.times: Counter[str] = Counter()
        self.faulty: Counter[str] = Counter()
        self.faults = faults
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        models = {"object": "list", "data": [{"id": MODEL, "object": "model"}]}
        server.expect_request("/v1/models").respond_with_json(models)
        server.expect_request("/v1/chat/completions").respond_with_handler(self._respond)

    def _respond(self, request: Request) -> Response:
        body = request.get_json()
        key = hashlib.sha256(request.data).hexdigest()
        with self._lock:
            first = key not in self._seen
            self._seen.add(key)
        if self.faults and first and int(key[:6], 16) % self.faults == 0:
            kind = ("429", "500", "malformed")[int(key[6:10], 16) % 3]
            with self._lock:
                self.faulty[kind] += 1
            if kind == "429":
                return Response("{}", 429, {"Retry-After": "0.01"})
            return Response("{", 500 if kind == "500" else 200, content_type="application/json")
        name, text = answer(body["messages"])
        with self._lock:
            self.asked[name] += 1
            self.times[key] += 1
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": text},
        }
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        return Response(
            json.dumps({"id": "x", "choices": [choice], "usage": usage}),
            content_type="application/json",
        )


def answer(messages: list[dict[str, str]]) -> tuple[str, str]:
    """Return what is asked for, and the answer."""
    system, user = messages[0]["content"], messages[1]["content"]
    again = len(messages) > 2
    data = {name: json.loads(text) for _, name, text in _FENCE.findall(user)}
    lines = {**dict(re.findall(r"^([A-Z][\w ]+): (.*)$", user, re.M)), "": user}
    for opening, play in _PLAYS.items():
        if system.startswith(opening):
            said = play(data, lines, again)
            return opening, said if isinstance(said, str) else json.dumps(said)
    raise AssertionError(f"nobody plays {system[:80]!r}")


def _word(*parts: object) -> str:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return "".join("bdfgklmnprstvz"[byte % 14] + "aeiou"[byte // 14 % 5] for byte in digest[:4])


def _grow(data: Any, lines: dict[str, str], again: bool) -> Any:
    count = int(lines["Number of functions"])
    names = [[_word(lines, n, k) for k in range(3)] for n in range(count)]
    return {"functions": [{"part": name[0], "action": " ".join(name[1:])} for name in names]}


def _document(data: Any, lines: dict[str, str], again: bool) -> Any:
    required, optional = int(lines["Required parameters"]), int(lines["Optional parameters"])
    action = data["function"]["function"]
    return {
        "name": action.replace(" ", "_"),
        "description": f"{_word(action, 'd')} {_word(action, 'e')} {_word(action, 'f')}",
        "parameters": [
            {
                "name": f"p{number}",
                "type": ("string", "integer")[number % 2],
                "description": f"value {number}",
                "required": number < required,
            }
            for number in range(required + optional)
        ],
    }


def _call(tool: Any, salt: object) -> Any:
    arguments = {
        name: _word(salt, name) if schema["type"] == "string" else share(salt, name) + 1000
        for name, schema in tool["parameters"]["properties"].items()
        if name in tool["parameters"]["required"]
    }
    return {"name": tool["name"], "arguments": arguments}


def _plan(data: Any, lines: dict[str, str], again: bool) -> Any:
    tools, kind = data["tools"], lines["Kind"]
    if share("plan", tools) < 10:
        return "I would rather not."  # breaks the rules however often it is asked
    first, last = tools[0], tools[-1]
    if "without calls" in kind:
        return {"turns": [{"wish": f"{_word(tools)} {_word(kind)}", "rounds": []}], "withheld": []}
    if "withheld" in kind:
        call = _call(first, tools)
        turn = {"wish": f"[[{first['name']}]]", "rounds": [[call]]}
        return {"turns": [turn], "withheld": [next(iter(call["arguments"]))]}
    calls = [_call(first, (tools, 0))]
    if "same tool" in kind:
        calls.append(_call(first, (tools, 1)))
    elif "different tools" in kind or "two rounds" in kind:
        calls.append(_call(last, (tools, 1)))
    if "two turns" in kind:
        wishes = [[calls], [[_call(last, (tools, 2))]]]
    elif "two rounds" in kind:
        wishes = [[[calls[0]], [calls[1]]]]
    else:
        wishes = [[calls]]
    turns = [{"wish": f"<<{json.dumps(rounds)}>>", "rounds": rounds} for rounds in wishes]
    return {"turns": turns, "withheld": []}


def _user(data: Any, lines: dict[str, str], again: bool) -> Any:
    return {"message": f"{data['wish']} {json.dumps(data['values-to-be-given'])}"}


def _assistant(data: Any, lines: dict[str, str], again: bool) -> Any:
    messages = data["conversation"]
    said = [m["content"] for m in messages if m["role"] == "user"]
    careless = share("careless", messages)
    if careless < 5 or (careless < 20 and not again):  # always wrong, or at first
        return {"thinking": "", "answer": {"calls": [{"name": "nothing", "arguments": {}}]}}
    if found := re.search(r"<<(.*)>>", said[-1]):
        rounds = json.loads(found[1])
        finished = sum(m["role"] == "tool" for m in messages[_last_user(messages) :])
        return {"thinking": "", "answer": {"calls": rounds[min(finished, len(rounds) - 1)]}}
    if found := re.search(r"\[\[(\w+)\]\]", said[0]):
        if len(said) == 1:
            return {"thinking": "", "answer": {"text": "Which value?"}}
        given = [json.loads(text[text.index(" [{") + 1 :])[0] for text in said]
        return {
            "thinking": "",
            "answer": {"calls": [{"name": found[1], "arguments": {**given[0], **given[1]}}]},
        }
    return {"thinking": "", "answer": {"text": "Nothing here can do that."}}


def _last_user(messages: Any) -> int:
    return max(place for place, m in enumerate(messages) if m["role"] == "user")


def _respond(data: Any, lines: dict[str, str], again: bool) -> Any:
    return {"results": [{"done": _word(call)} for call in data["calls"]]}


def _compare(data: Any, lines: dict[str, str], again: bool) -> Any:
    messages = data["conversation"]
    if is_garbled(messages):
        return "Both look fine to me."
    marks = [is_right(messages, data[f"answer {side}"]) for side in "AB"]
    if is_biased(messages):
        marks = [True, False]
    told = ["correct" if mark else "wrong" for mark in marks]
    return {"analysis": "see there", "A": told[0], "B": told[1], "right_approach": "like this"}


def _admit(data: Any, lines: dict[str, str], again: bool) -> Any:
    right = is_admitted(data["conversation"], data["answer"])
    return {"analysis": "hm", "verdict": "correct" if right else "wrong"}


def _expand(data: Any, lines: dict[str, str], again: bool) -> Any:
    conversation, right = data["conversation"], data["right-answer"]
    word = _word(lines[""])
    if share("expand", conversation, word) < 15:
        return {"messages": [{"role": "assistant", "content": "me first"}], "answer": right}
    text = f"{word} {_word(word)} {_word(word, 2)} {json.dumps(right)}"
    return {"messages": [{"role": "user", "content": text}], "answer": right}


_PLAYS = {
    "You plan the functions": _grow,
    "You write the document": _document,
    "You plan dialogues": _plan,
    "You play the user": _user,
    "You play an assistant": _assistant,
    "You play the tools": _respond,
    "You check answers": _compare,
    "You check training samples": _admit,
    "You write training samples": _expand,
}
