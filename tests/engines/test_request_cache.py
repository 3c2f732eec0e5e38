"""The request cache: what is asked again and what is not, kills, several writers, pruning."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from looptool.core.errors import LooptoolError
from looptool.engines import Arrived, Completion, Prompt, Sampling, answering
from looptool.engines.request_cache import RequestCache


def prompts_of(*texts: str) -> list[Prompt]:
    return [Prompt([{"role": "user", "content": text}]) for text in texts]


EIGHT = Sampling(8)


@dataclass
class Echo:
    """Answers by the prompt itself, one by one, and notes what it was asked."""

    identity: str = "echo"
    independent: bool = True
    asked: list[str] = field(default_factory=list)
    bad: tuple[str, ...] = ()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, arrived: Arrived = lambda group: None
    ) -> list[Completion]:
        made = []
        for place, prompt in enumerate(prompts):
            text = prompt.messages[0]["content"]
            self.asked.append(text)
            if text in self.bad:
                made.append(Completion("", 0, None, "failed", "the server is on fire"))
            else:
                made.append(Completion(text, len(text), -0.5, "stop"))
            arrived([(place, made[-1])])
        return made


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOPTOOL_SCRATCH", str(tmp_path / "scratch"))


def ask(engine: Echo, *texts: str, sampling: Sampling = EIGHT) -> list[Completion]:
    return answering.answer(engine, prompts_of(*texts), sampling, Path("unused"))


def test_what_was_answered_is_not_asked_again() -> None:
    first, second = Echo(), Echo()
    assert [each.text for each in ask(first, "a", "ö", "c")] == ["a", "ö", "c"]
    assert [each.text for each in ask(second, "c", "new", "ö")] == ["c", "new", "ö"]
    assert second.asked == ["new"]


@pytest.mark.parametrize(
    ("other", "sampling"),
    [
        (Echo("another model"), Sampling(8)),
        (Echo(), Sampling(9)),
        (Echo(), Sampling(8, 0.7)),
        (Echo(), Sampling(8, seed=1)),
        (Echo(), Sampling(8, schema={"type": "object"})),
    ],
)
def test_another_model_or_sampling_is_another_question(other: Echo, sampling: Sampling) -> None:
    ask(Echo(), "a")
    ask(other, "a", sampling=sampling)
    assert other.asked == ["a"]


def test_tools_are_part_of_the_question() -> None:
    engine = Echo()
    (prompt,) = prompts_of("a")
    tool = {"name": "f", "description": "", "parameters": {"type": "object"}}
    for tools in ((), (tool,), ()):
        answering.answer(engine, [replace(prompt, tools=tools)], Sampling(8), Path("unused"))
    assert engine.asked == ["a", "a"]


def test_the_same_question_twice_is_asked_once() -> None:
    engine = Echo()
    done: list[int] = []
    found = answering.answer(
        engine, prompts_of("a", "b", "a"), Sampling(8), Path("unused"), done.append
    )
    assert [each.text for each in found] == ["a", "b", "a"]
    assert engine.asked == ["a", "b"]
    assert done[-1] == 3


def test_what_a_machine_failed_at_is_asked_again() -> None:
    assert ask(Echo(bad=("b",)), "a", "b")[1].error == "the server is on fire"
    second = Echo()
    assert ask(second, "a", "b")[1].text == "b"
    assert second.asked == ["b"]


@pytest.mark.parametrize(
    "lacking",
    [
        Completion("", 0, None, "refused", "too long for this server"),
        Completion("b", 1, None, "stop"),  # log-probs were asked for
    ],
)
def test_what_a_setting_may_cure_is_asked_again(lacking: Completion) -> None:
    class Partial(Echo):
        def generate(self, prompts: object, sampling: object, arrived: Arrived) -> object:  # type: ignore[override]
            arrived([(0, lacking)])
            return [lacking]

    wanted = Sampling(8, logprobs=True)
    assert ask(Partial(), "b", sampling=wanted) == [lacking]
    second = Echo()
    assert ask(second, "b", sampling=wanted)[0].text == "b"
    assert second.asked == ["b"]


def test_a_cache_that_another_run_holds_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("looptool.engines.request_cache._WAIT", 0.1)
    ask(Echo(), "a")
    with (
        closing(sqlite3.connect(answering.shared_cache(), isolation_level=None)) as other,
        RequestCache(answering.shared_cache()) as cache,
    ):
        other.execute("begin immediate")
        with pytest.raises(LooptoolError, match=r"answers\.db: .*locked; wait for runs"):
            cache.prune(0)


def test_a_killed_process_leaves_all_its_answers(tmp_path: Path) -> None:
    def die_at_half(done: int) -> None:
        if done == 50:
            os.kill(os.getpid(), signal.SIGKILL)

    texts = [str(number) for number in range(100)]
    process = multiprocessing.get_context("fork").Process(
        target=lambda: answering.answer(
            Echo(), prompts_of(*texts), Sampling(8), Path("unused"), die_at_half
        )
    )
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    engine = Echo()
    assert [each.text for each in ask(engine, *texts)] == texts
    assert engine.asked == texts[50:]


def write_many(path: Path, start: int) -> None:
    with RequestCache(path) as cache:
        for number in range(start, start + 300):
            answer = Completion(str(number), 1, None, "stop")
            cache.store("many", [(f"{number:032x}", answer)])


def test_writers_do_not_lose_each_others_answers(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(path, n * 300)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    with RequestCache(path) as cache:
        found = dict(cache.look_up([f"{number:032x}" for number in range(1000)]))
    assert len(found) == 900
    assert found[f"{17:032x}"].text == "17"


def open_at_once(path: Path, all_ready: Barrier) -> None:
    all_ready.wait()
    with RequestCache(path) as cache:
        cache.store("at once", [(f"{os.getpid():032x}", Completion("", 1, None, "stop"))])


def test_a_new_cache_can_be_opened_by_several_processes_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    all_ready = context.Barrier(4)
    for attempt in range(20):
        path = tmp_path / str(attempt) / "answers.db"
        openers = [context.Process(target=open_at_once, args=(path, all_ready)) for _ in range(4)]
        for opener in openers:
            opener.start()
        for opener in openers:
            opener.join()
            assert opener.exitcode == 0


def test_usage_counts_and_pruning_deletes(tmp_path: Path) -> None:
    ask(Echo("one"), "a", "b")
    ask(Echo("one"), "a")
    ask(Echo("two"), "a")
    with RequestCache(answering.shared_cache()) as cache:
        one, two = cache.usage()
        assert (one.identity, one.answers, one.hits, one.misses) == ("one", 2, 1, 2)
        assert (two.answers, two.hits, two.misses) == (1, 0, 1)
        assert cache.prune(unused_days=1) == 0  # all were asked for today
        assert cache.prune(unused_days=0, engine="one") == 2
        assert [each.identity for each in cache.usage()] == ["two"]
    again = Echo("one")
    ask(again, "a")
    assert again.asked == ["a"]


def test_a_file_that_is_no_cache_is_told(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_text("not a database " * 100)
    with pytest.raises(LooptoolError, match=r"answers\.db: cannot be used as request cache"):
        RequestCache(path)
