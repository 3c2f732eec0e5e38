"""The page of `looptool review` in a real browser: `make test-browser`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.core import canonical, tables
from looptool.core.samples import sample_id_of_json
from tests.lineage.conftest import history, own
from tests.review.test_app import Server, reviews, serving

pytestmark = pytest.mark.browser
__all__ = ["history", "own"]  # fixtures
HOSTILE = "</script><img src=x onerror=alert(1)>\u202e{{nonce}}"


def opened(browser: Any, server: Server, **options: Any) -> tuple[Any, list[str]]:
    """Open the page of a server; returns it, and what its console complained of."""
    page = browser.new_page(**options)
    complaints: list[str] = []
    page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
    page.goto(f"{server.root}?token={server.token}")
    page.wait_for_selector("body[data-row]")
    return page, complaints


def until(page: Any, expression: str) -> None:
    """Wait until an expression is true. Playwright's own way needs `eval`, which is forbidden."""
    end = time.monotonic() + 20
    while not page.evaluate(expression):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(10)


def decided(page: Any, count: int) -> None:
    until(page, f"document.querySelector('#decided').textContent.startsWith('{count} of')")


def press(page: Any, key: str, count: int) -> None:
    """Decide by a key, and wait until it is saved and the next item is there."""
    page.wait_for_selector("body[data-row]")
    page.wait_for_timeout(20)
    page.keyboard.press(key)
    decided(page, count)


def test_twenty_rows_are_reviewed_by_keys_alone(browser: Any, own: Path) -> None:
    with serving(own, "1") as server:
        page, complaints = opened(browser, server)
        for place in range(20):
            page.wait_for_selector("body[data-row]")
            usable = page.evaluate(
                "[...document.querySelectorAll('[data-decision]:not(:disabled)')]"
                ".map(b => b.dataset.decision)"
            )
            wanted = ("accept", "keep", "take", "both", "drop", "unsure")[place % 6]
            key = {"accept": "a", "keep": "l", "take": "p", "both": "b", "drop": "d", "unsure": "u"}
            press(page, key[wanted if wanted in usable else "keep"], place + 1)
        assert complaints == []
        page.keyboard.press("z")  # back to the last one, and decide again
        page.wait_for_selector("[data-decision][aria-pressed=true]")
        press(page, "d", 20)
    rows = reviews(own)
    assert len(rows) == 21 and rows["sample_id"].n_unique() == 20
    assert rows["decision"][-1] == "drop" and (rows["seconds"] > 0).any()


def test_an_edit_that_breaks_the_schema_is_refused_as_one_types(browser: Any, own: Path) -> None:
    with serving(own, "1") as server:
        page, complaints = opened(browser, server)
        page.keyboard.press("e")
        until(page, "!document.querySelector('#save').disabled")
        page.fill("#editor", '{"calls": [{"name": "no_such_tool", "arguments": {}}]}')
        until(page, "document.querySelector('#problem').textContent.includes('calls[0]')")
        assert page.is_disabled("#save")
        page.keyboard.press("Control+Enter")
        page.fill("#editor", '{"text": "I cannot do that."}')
        until(page, "!document.querySelector('#save').disabled")
        page.keyboard.press("Control+Enter")
        decided(page, 1)
        assert complaints == []
    assert reviews(own)["new_label"].to_list() == ['{"text":"I cannot do that."}']


def test_two_reviewers_and_a_kill_in_the_middle_lose_nothing(browser: Any, own: Path) -> None:
    with serving(own, "1") as one, serving(own, "1", reviewer="bo") as other:
        pages = [opened(browser, server)[0] for server in (one, other)]
        for count in range(1, 6):
            press(pages[0], "l", count)
            press(pages[1], "u", count)
        one.process.kill()
        pages[0].keyboard.press("d")
        pages[0].wait_for_selector("#banner:not([hidden])")
        press(pages[1], "u", 6)
    assert reviews(own)["decision"].to_list() == ["keep"] * 5
    assert len(reviews(own, "bo")) == 6
    with serving(own, "1") as again:
        page, _ = opened(browser, again)
        decided(page, 5)


def test_hostile_samples_stay_text_on_a_phone_in_dark_mode(browser: Any, own: Path) -> None:
    spoil(own)
    with serving(own, "1") as server:
        screen = {"width": 390, "height": 844}
        page, complaints = opened(browser, server, viewport=screen, color_scheme="dark")
        assert "onerror=alert(1)" in page.inner_text("#messages")
        assert "onerror=alert(1)" in page.inner_text("#rationale")
        assert page.query_selector("article img") is None and complaints == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert (
            page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(255, 255, 255)"
        )
        bar = page.query_selector("#bar").bounding_box()
        assert bar["y"] + bar["height"] <= 844 + 1
        press(page, "l", 1)


def spoil(folder: Path) -> None:
    """Put a hostile text into every field of the first samples of D_1."""
    place = folder / "data/iterations/1"
    train = tables.read(place / "train.parquet", tables.Samples)
    verdicts = tables.read(place / "verdicts.parquet", tables.Verdicts)
    probe = tables.read(place / "probe.parquet", tables.Probe)
    messages = canonical.dumps([{"role": "user", "content": HOSTILE}])
    new = {}
    rows = []
    for row in train.iter_rows(named=True):
        if row["sample_id"] in set(verdicts["sample_id"]):
            tools = canonical.loads(row["tools"])
            tools[0]["description"] = HOSTILE + row["sample_id"]
            text = {"tools": canonical.dumps(tools), "messages": messages}
            identity = sample_id_of_json(text["tools"], messages)
            new[row["sample_id"]] = identity
            row |= text | {"sample_id": identity}
        rows.append(row)
    tables.write(tables.frame(tables.Samples, rows), tables.Samples, place / "train.parquet")
    renamed = pl.col("sample_id").replace(new)
    tables.write(probe.with_columns(renamed), tables.Probe, place / "probe.parquet")
    judged = verdicts.with_columns(renamed, rationale=pl.lit(HOSTILE))
    tables.write(judged, tables.Verdicts, place / "verdicts.parquet")
