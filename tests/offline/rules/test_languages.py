"""The rules judge on requests that are not in English."""

import pytest

from looptool.judging import Case
from looptool.offline.rules.judge import admit, judge
from looptool.offline.rules.languages import is_foreign, plain
from tests.offline.rules.table import LAMP, PARCEL, TIDE, TRANSFER, WIND, call, said, text, tool

TABLE = tool(
    "reserve",
    "Reserve a table",
    "place people",
    place="string: Restaurant",
    people="integer: How many",
    day="string: Day, YYYY-MM-DD",
)
PAY = tool("pay", "Pay money", "who amount", who="string: To whom", amount="number: Amount")
CHIME = tool("ring_chime", "Ring a chime.", "tone", tone="string: Tone")


def wind(place):
    return call("wind_forecast", place=place)


def table(place, people, **more):
    return call("reserve", place=place, people=people, **more)


def pay(who, amount):
    return call("pay", who=who, amount=amount)


@pytest.mark.parametrize(
    ("tools", "request_text", "right", "wrong"),
    [
        ([WIND], "青岛明天的风大吗？", wind("青岛"), wind("厦门")),
        ([WIND], "函館の風速を教えて", wind("函館"), wind("釧路")),
        ([WIND], "ที่หัวหินลมแรงไหม", wind("หัวหิน"), wind("ระยอง")),
        ([WIND], "내일 여수의 바람은 어때?", wind("여수"), wind("속초")),
        ([WIND], "كيف الرياح في العقبة غدا؟", wind("العقبة"), wind("دبي")),
        ([WIND], "מה הרוח באילת מחר?", wind("אילת"), wind("נתניה")),
        ([WIND], "जैसलमेर में हवा कैसी है?", wind("जैसलमेर"), wind("कोच्चि")),
        ([WIND], "¿Cómo está el viento en Cádiz?", wind("Cadiz"), wind("Huelva")),
        ([WIND], "Bodrumda yarın rüzgar nasıl?", wind("Bodrum"), wind("Sinop")),
        ([WIND], "Какой ветер в городе Выборг?", wind("Выборг"), wind("Сочи")),
        (
            [TABLE],
            "天ぷら山本で１２名です",
            table("天ぷら山本", 12),
            table("天ぷら山本", 15),
        ),
        ([TABLE], "海底捞8位，谢谢", table("海底捞", 8), table("海底捞", 5)),
        (
            [TABLE],
            "2024-05-06に天ぷら山本で4名",
            table("天ぷら山本", 4, day="2024-05-06"),
            table("天ぷら山本", 4, day="2024-06-05"),
        ),
        (
            [PARCEL],
            "荷物ＱＫ３１７を追跡して",
            call("trackParcel", parcel_id="QK317"),
            call("trackParcel", parcel_id="QK371"),
        ),
        (
            [PAY],
            "Überweise bitte 12,50 Euro an Jonas Weber",
            pay("Jonas Weber", 12.5),
            pay("Jonas Weber", 13),
        ),
    ],
)
def test_what_stands_letter_by_letter_is_evidence_in_every_script(
    tools, request_text, right, wrong
) -> None:
    good, bad = {"calls": [right]}, {"calls": [wrong]}
    assert judge(Case(tools, said(request_text), good, bad)).verdict == "PRED_WRONG"
    assert judge(Case(tools, said(request_text), bad, good)).verdict == "LABEL_WRONG"
    assert admit(tools, said(request_text), good) is None


def lamp(room, brightness):
    return call("lamp_set", room=room, brightness=brightness)


@pytest.mark.parametrize(
    ("tools", "request_text", "one", "other"),
    [
        ([WIND], "Quel est le vent à Anvers ?", [wind("Antwerp")], [wind("Ghent")]),
        ([WIND], "Quel est le vent à Gênes ?", [wind("Genoa")], [wind("Gênes")]),
        ([WIND], "青岛明天的风大吗？", [wind("Qingdao")], [wind("青岛")]),
        ([WIND], "Какой ветер в Самаре?", [wind("Самара")], [wind("Самаре")]),
        ([TABLE], "Ein Tisch für sechs im Löwen bitte", [table("Löwen", 6)], [table("Löwen", 9)]),
        ([TABLE], "海底捞，三位", [table("海底捞", 3)], [table("海底捞", 6)]),
        (
            [TABLE],
            "Mesa para 3 en Casa Mono el 5 de marzo de 2025",
            [table("Casa Mono", 3, day="2025-03-05")],
            [table("Casa Mono", 3, day="2025-05-03")],
        ),
        (
            [PAY],
            "给王芳转5万",
            [pay("王芳", 50000)],
            [pay("王芳", 5)],
        ),
        (
            [TRANSFER],
            "Überweise bitte 70 von K-1 auf K-2",
            [call("bank.transfer", from_account="K-1", to_account="K-2", amount=70)],
            [call("bank.transfer", from_account="K-2", to_account="K-1", amount=70)],
        ),
        (
            [CHIME],
            "Läute bitte zweimal den Gong",
            [call("ring_chime", tone="Gong")] * 2,
            [call("ring_chime", tone="Gong")],
        ),
    ],
)
def test_what_only_a_reader_can_tell_has_no_verdict_and_is_no_reason_to_refuse(
    tools, request_text, one, other
) -> None:
    left, right = {"calls": one}, {"calls": other}
    for label, prediction in ((left, right), (right, left)):
        found = judge(Case(tools, said(request_text), label, prediction))
        assert found.verdict == "NO_CONSENSUS"
        assert "not in English" in found.rationale
        assert admit(tools, said(request_text), label) is None


def test_whether_to_call_at_all_has_no_verdict() -> None:
    messages = said("Wie hoch ist die Flut in Husum?")
    label = {"calls": [call("tide_table", port="Husum", day="2024-05-03")]}
    prediction = text("Wann?")
    assert judge(Case([TIDE], messages, label, prediction)).verdict == "NO_CONSENSUS"
    assert judge(Case([TIDE], messages, prediction, label)).verdict == "NO_CONSENSUS"


def test_a_broken_schema_tells_in_every_language() -> None:
    messages = said("Mach die Lampe im Flur bitte auf 40 Prozent")
    right, broken = {"calls": [lamp("Flur", 40)]}, {"calls": [lamp("Flur", "40")]}
    assert judge(Case([LAMP], messages, right, broken)).verdict == "PRED_WRONG"
    assert judge(Case([LAMP], messages, broken, right)).verdict == "LABEL_WRONG"
    assert "schema" in str(admit([LAMP], messages, broken))


def test_an_unparsable_prediction_leaves_a_label_undecided_that_nobody_here_can_read() -> None:
    messages = said("Quel est le vent à Anvers ?")
    unread, stands = {"calls": [wind("Antwerp")]}, {"calls": [wind("Anvers")]}
    assert judge(Case([WIND], messages, unread, None)).verdict == "NO_CONSENSUS"
    assert judge(Case([WIND], messages, stands, None)).verdict == "PRED_WRONG"


@pytest.mark.parametrize(
    "request_text",
    [
        "Fifteen",
        "Track parcel ZX-9081",
        "Wind at Rio de Janeiro",
        "Play Für Elise",
        "Book Chez Léon in La Rochelle",
        'Translate "guten Morgen, wie geht es dir" from German',
        "What does 青岛 mean?",
        "Buy 40 shares of NVTK",
        "A café near me",
        "Roll a 6-sided die, flip a coin twice",
        "Roll three six-sided dice",
        "",
    ],
)
def test_english_with_foreign_words_is_english(request_text: str) -> None:
    assert not is_foreign(request_text)


def test_a_plain_text_has_one_form_of_digits_and_accents() -> None:
    assert plain("１２名") == "12 名"
    assert plain("Ca\u0301diz") == "Cádiz"
    assert plain("1½ m²") == "1½ m²"
