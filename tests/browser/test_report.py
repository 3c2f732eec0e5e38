"""The report in a real browser, without a network: `make test-browser`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from looptool.reporting.report import write_report
from tests.lineage.conftest import make_project

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run: of $LOOPTOOL_REPORT_OF, or of a history drawn by lot."""
    if given := os.environ.get("LOOPTOOL_REPORT_OF"):
        return write_report(root=given)
    return write_report(root=make_project(tmp_path_factory.mktemp("report"), 200, 3))


def opened(browser: Any, report: Path, **options: Any) -> tuple[Any, list[str], list[str]]:
    """Open the report; returns the page, what its console complained of, and its requests."""
    page = browser.new_page(**options)
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda m: m.type in ("error", "warning") and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector(".chart svg")
    return page, complaints, requests


def test_it_needs_no_network_and_complains_of_nothing(browser: Any, report: Path) -> None:
    page, complaints, requests = opened(browser, report)
    assert complaints == []
    assert requests == [report.as_uri()]
    assert "http://" not in page.inner_text("body") and "https://" not in page.inner_text("body")


def test_every_chart_has_marks(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report)
    charts = page.query_selector_all(".chart")
    assert len(charts) >= 8
    for chart in charts:
        title = chart.query_selector("h3").inner_text()
        marks = chart.query_selector_all("svg .mark-line path, svg .mark-rect path, svg .mark-area "
                                         "path, svg .mark-symbol path")  # fmt: skip
        assert any((mark.get_attribute("d") or "") not in ("", "M0,0Z") for mark in marks), title


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows_on_a_phone(browser: Any, report: Path, scheme: str) -> None:
    page, complaints, _ = opened(
        browser, report, viewport={"width": 390, "height": 844}, color_scheme=scheme
    )
    page.evaluate("document.querySelectorAll('details').forEach(card => card.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert complaints == []
    back = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")


def test_search_finds_an_id_and_a_word(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report)
    data = pl.read_parquet(report.parents[1] / "data/iterations/1/train.parquet")
    known = set(data["sample_id"])
    identity = next(
        card.get_attribute("id")
        for card in page.query_selector_all("#browser > details")
        if card.get_attribute("id") in known
    )
    page.fill("#search", identity)
    assert page.eval_on_selector_all("#browser > details:not([hidden])", "all => all.length") >= 1
    assert page.is_visible(f"details[id='{identity}']")
    page.fill("#search", "corrected single")
    shown = page.query_selector_all("#browser > details:not([hidden])")
    assert shown and all("corrected" in card.text_content() for card in shown)
    page.fill("#search", "no such word anywhere")
    assert page.inner_text("#found") == "0 found"


def test_all_is_reached_by_keyboard(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.focus("#search")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.parentElement.open")


def test_a_link_opens_the_sample_that_it_names(browser: Any, report: Path) -> None:
    page, _, _ = opened(browser, report)
    identity = page.get_attribute("#browser > details:nth-of-type(3)", "id")
    page.evaluate(f"location.hash = '{identity}'")
    page.wait_for_function(f"document.getElementById('{identity}').open")
