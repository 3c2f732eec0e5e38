"""`make_seeds`: count, truth, noise rate, refusals, and the same result for any process count."""

import json
from dataclasses import dataclass, replace

import pytest
from polars.testing import assert_frame_equal

from looptool.core import canonical, tables
from looptool.core.errors import LooptoolError
from looptool.core.samples import label_id, sample_id
from looptool.offline.grammar.author import GrammarAuthor
from looptool.synthesis import Draft, seeds
from looptool.synthesis.mixing import Source
from looptool.synthesis.own import OwnSamples
from tests.strategies import SHARES

GOOD = GrammarAuthor().write(1, seed="g", split="train", shares={"single": 1.0})[0]


def recipe(count, seed="s", split="train", shares=SHARES, label_noise=0.0):
    return seeds.Recipe(
        count, seed, split, shares, "generate", iteration=2, label_noise=label_noise
    )


def make(count, author=None, *, fill_up=None, seen=(), refuse=None, **changes):
    author = author or GrammarAuthor()
    return seeds.make_seeds(recipe(count, **changes), author, fill_up, seen=seen, refuse=refuse)


@dataclass
class Fixed:
    """An author of given drafts, the good one with another question each time."""

    drafts: list[Draft]
    name: str = "fixed"
    portable: bool = False
    exact: bool = True

    def write(self, count, *, seed, split, shares):
        return [
            replace(draft, messages=[{"role": "user", "content": f"{seed} {i}"}])
            if draft is GOOD
            else draft
            for i, draft in enumerate((self.drafts * count)[:count])
        ]


class Sparing(GrammarAuthor):
    """A grammar that writes seven of ten, and is not known to be right."""

    def write(self, count, **arguments):
        return super().write(count, **arguments)[: max(1, 7 * count // 10)]


def test_an_author_that_writes_too_little_is_asked_until_there_is_enough():
    made = make(200, author=Sparing(exact=False))
    assert len(made.samples) == 200
    assert made.truth.is_empty()  # nobody knows whether its labels are right


def test_who_fills_up_writes_the_rest_and_is_named():
    fixed = Fixed([replace(GOOD, refused=("agent:plan", "no plan"))], exact=False)
    made = make(5, author=fixed, fill_up=GrammarAuthor())
    assert set(made.samples["label_source"]) == {"grammar"} and len(made.truth) == 5
    assert set(made.rejected["check"]) == {"agent:plan"}
    assert len(made.rejected) == 5  # one round without a sample was enough


def test_all_that_was_asked_for_is_made_with_ids_and_truth():
    made = make(300)
    tables.check(made.samples, tables.Samples)
    tables.check(made.truth, tables.Truth)
    tables.check(made.rejected, tables.Rejected)
    assert len(made.samples) == 300
    row = made.samples.row(0, named=True)
    tools, messages, label = (canonical.loads(row[n]) for n in ("tools", "messages", "label"))
    assert row["sample_id"] == sample_id(tools, messages)
    assert row["label_id"] == label_id(label)
    assert (row["origin"], row["born_iteration"], row["label_source"]) == ("seed", 2, "grammar")
    assert made.truth["label"].to_list() == made.samples["label"].to_list()
    assert made.truth["noise"].null_count() == 300


def test_noise_is_planted_at_its_rate_and_only_there_label_and_truth_differ():
    made = make(1500, label_noise=0.15)
    noisy = made.truth["noise"].is_not_null()
    assert abs(noisy.mean() - 0.15) < 3 * (0.15 * 0.85 / 1500) ** 0.5
    assert ((made.samples["label_id"] != made.truth["label_id"]) == noisy).all()
    assert made.truth["noise"].n_unique() > 8
    clean = make(1500)
    assert (clean.samples["sample_id"] == made.samples["sample_id"]).all()
    assert (clean.truth["label"] == made.truth["label"]).all()


def test_seen_samples_are_not_made_again():
    first = make(100)
    second = make(100, seen=set(first.samples["sample_id"]))
    assert len(second.samples) == 100
    assert not set(first.samples["sample_id"]) & set(second.samples["sample_id"])
    assert second.rejected["check"].unique().to_list() == ["duplicate"]


def test_what_is_refused_stands_in_rejected_with_its_reason_and_is_replaced():
    def refuse(drafts):
        return ["is clarify" if draft.category == "clarify" else None for draft in drafts]

    made = make(200, refuse=refuse, label_noise=0.15)
    assert len(made.samples) == 200
    assert "clarify" not in made.samples["category"].to_list()
    assert set(made.rejected["reason"]) == {"is clarify"}
    assert set(made.rejected["check"]) == {"admission"}


@pytest.mark.parametrize(
    ("check", "bad"),
    [
        ("tool", replace(GOOD, tools=[{"name": "x", "description": "", "parameters": {}}])),
        ("label", replace(GOOD, label={"calls": []})),
        ("call", replace(GOOD, label={"calls": [{"name": "unheard", "arguments": {}}]})),
        ("category", replace(GOOD, category="sonnet")),
        ("category", replace(GOOD, category="parallel")),
        ("category", replace(GOOD, category="multiple")),
        ("category", replace(GOOD, category="irrelevant")),
        ("messages", replace(GOOD, messages=[{"role": "assistant", "content": "hi"}])),
    ],
)
def test_a_bad_draft_is_rejected_by_the_check_it_breaks(check, bad):
    made = make(4, author=Fixed([GOOD, bad]))
    assert len(made.samples) == 4
    assert set(made.rejected["check"]) == {check}
    assert (made.rejected["reason"].str.len_chars() > 5).all()


def test_duplicates_of_one_author_are_refused_and_running_out_is_an_error():
    same = replace(GOOD, category="single")
    with pytest.raises(LooptoolError, match="only 1 of 3"):
        make(3, author=Fixed([same]))


def test_the_number_of_processes_changes_nothing(monkeypatch):
    monkeypatch.setattr(seeds, "CHUNK", 60)
    monkeypatch.setattr(seeds, "PARALLEL_FROM", 100)
    several = make(150, label_noise=0.2)
    monkeypatch.setattr(seeds, "PROCESSES", 1)
    alone = make(150, label_noise=0.2)
    assert_frame_equal(several.samples, alone.samples)
    assert_frame_equal(several.truth, alone.truth)


def own_set(folder, count):
    from looptool.exchange.sample_sets import import_samples

    tool = {"name": "roam", "description": "Walks", "parameters": {"place": {"type": "str"}}}
    records = [
        {
            "query": f"Walk to place {number}",
            "tools": json.dumps([tool]),
            "answers": json.dumps([{"name": "roam", "arguments": {"place": str(number)}}]),
        }
        for number in range(count)
    ]
    (folder / "mine.jsonl").write_text("\n".join(map(json.dumps, records)))
    import_samples(folder / "mine.jsonl", folder / "mine")
    return OwnSamples(str(folder / "mine"))


def mixed(count, sources, **changes):
    checks = {"seen": set(), "index": None, "judges": [], **changes}
    return seeds.mix_seeds(recipe(count, label_noise=0.5), sources, **checks)


def test_no_noise_is_planted_in_own_samples_alone_or_in_a_mix(tmp_path):
    own = own_set(tmp_path, 60)
    alone = mixed(20, [Source(own)])
    assert alone.truth.is_empty()
    both = mixed(40, [Source(own, 0.5), Source(GrammarAuthor(), 0.5)])
    assert tables.counts(both.samples, "label_source") == {"grammar": 20, "own:mine": 20}
    assert len(both.truth) == 20 and both.truth["noise"].is_not_null().any()
    for part in (alone, both):
        mine = part.samples.filter(part.samples["label_source"] == "own:mine")
        for messages, label in mine.select("messages", "label").rows():
            place = canonical.loads(messages)[0]["content"].split()[-1]
            call = {"name": "roam", "arguments": {"place": place}}
            assert canonical.loads(label) == {"calls": [call]}


def test_own_samples_that_are_refused_do_not_end_those_that_are_not(tmp_path):
    class Overlap:
        def refuse(self, texts):
            self.left = getattr(self, "left", 15) - len(texts)
            return ["too like held-out" if self.left >= 0 else None for _ in texts]

    found = mixed(10, [Source(own_set(tmp_path, 60))], index=Overlap())
    assert len(found.samples) == 10 and len(found.rejected) >= 10
