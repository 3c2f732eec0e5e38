import pytest

from looptool.offline.rules import weights
from looptool.offline.rules.fitting import call_or_text, fit
from tests.offline.rules.reading import both, sides
from tests.offline.rules.table import FERRY, LAMP, TIDE, WIND, call, calls, said, text

WIND_CALL = calls(call("wind_forecast", place="Tarifa"))
WHICH, SORRY = text("Which place do you need?"), text("Sorry, I cannot do that.")


def score(tools, request_text, made, written) -> tuple[float, str]:
    caller, writer = both(tools, said(request_text), made, written)
    return fit(caller, writer, tools)


@pytest.mark.parametrize(
    ("tools", "request_text", "made", "written"),
    [
        ([WIND], "What is the wind forecast for Tarifa?", WIND_CALL, WHICH),
        ([WIND], "What is the wind forecast for Tarifa?", WIND_CALL, SORRY),
        (
            [LAMP],
            "Set the lamp in the attic to 40 percent brightness",
            calls(call("lamp_set", room="attic", brightness=40)),
            text("Which room is it?"),
        ),
    ],
)
def test_a_call_is_due_if_the_tool_fits_and_all_is_said(tools, request_text, made, written) -> None:
    result, why = score(tools, request_text, made, written)
    assert result > weights.FIT_DOUBTFUL_MOST
    assert why


@pytest.mark.parametrize(
    ("tools", "request_text", "made", "written", "why"),
    [
        ([WIND], "What is the wind forecast?", WIND_CALL, WHICH, "the text asks for place"),
        ([WIND], "Order me a pizza", WIND_CALL, SORRY, "nobody said"),
        (
            [FERRY],
            "Ferry from Calais on 2024-06-01",
            calls(call("ferry.book", origin="Calais", date="2024-06-01")),
            text("What is your destination?"),
            "destination is missing",
        ),
        (
            [FERRY],
            "Ferry from Calais on 2024-06-01",
            calls(call("ferry.book", origin="Calais", destination="Calais", date="2024-06-01")),
            SORRY,
            "takes what is said for something else",
        ),
    ],
    ids=["unsaid", "no such tool", "missing", "used twice"],
)
def test_words_are_due_if_something_is_missing_or_no_tool_fits(
    tools, request_text, made, written, why
) -> None:
    result, reason = score(tools, request_text, made, written)
    assert result < 0
    assert why in reason or reason.startswith("wind_forecast hardly fits")


def test_another_tool_that_fits_better_speaks_for_asking() -> None:
    request = "Set the brightness of the lamp in Tarifa"
    alone, _ = score([WIND], request, WIND_CALL, WHICH)
    beside, _ = score([WIND, LAMP], request, WIND_CALL, WHICH)
    assert beside < alone


def test_a_tool_that_is_irrelevant_is_hardly_ever_due_if_the_text_declines() -> None:
    result, _ = score([WIND], "Order a pizza in the place Tarifa", WIND_CALL, SORRY)
    assert result <= weights.FIT_DOUBTFUL_MOST


def test_an_unsaid_value_never_makes_a_call_clearly_due() -> None:
    result, _ = score([WIND], "wind forecast wind forecast", WIND_CALL, SORRY)
    assert result <= weights.FIT_DOUBTFUL_MOST


@pytest.mark.parametrize(
    ("written", "hard"),
    [("the the", False), ("Brest is fine.", False), ("Calm at the coast.", True)],
    ids=["no sentence", "no purpose", "said before"],
)
def test_a_text_has_faults_of_its_own(written: str, hard: bool) -> None:
    messages = said("Wind at the coast?", "Calm at the coast.", "Wind in Tarifa?")
    faults = list(call_or_text(*both([WIND], messages, text(written), WIND_CALL), [WIND]))
    assert faults[0].side == "label"
    assert faults[0].hard is hard


def test_a_call_and_a_text_get_evidence_whichever_is_the_label() -> None:
    messages = said("What is the wind forecast for Tarifa?")
    for one, other, side in ((WIND_CALL, WHICH, "prediction"), (WHICH, WIND_CALL, "label")):
        assert sides(call_or_text(*both([WIND], messages, one, other), [WIND])) == [side]


def test_two_calls_or_two_texts_are_none_of_its_business() -> None:
    for one, other in ((WIND_CALL, WIND_CALL), (WHICH, SORRY)):
        assert list(call_or_text(*both([WIND, TIDE], said("Wind?"), one, other), [WIND])) == []
