"""Requests of many kinds with a right answer and a wrong one each, written by hand.

Each row: name, tools, messages, right label, wrong label, and whether the judge must be sure enough
to give up the wrong label for the right one (`SURE`) or may leave it (`UNSURE`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

SURE, UNSURE = True, False


class Row(NamedTuple):
    name: str
    tools: list[dict[str, Any]]
    messages: list[dict[str, Any]]
    right: dict[str, Any]
    wrong: dict[str, Any]
    sure: bool


def tool(name: str, description: str, required: str = "", **parameters: Any) -> dict[str, Any]:
    """A tool; a parameter is "type: description" or a schema."""
    properties = {}
    for key, value in parameters.items():
        if isinstance(value, str):
            kind, _, text = value.partition(":")
            value = {"type": kind, "description": text.strip()}
        properties[key.rstrip("_")] = value
    return {
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": properties,
            "required": required.split(),
        },
    }


def enum(description: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "description": description, "enum": list(values), **more}


def strings(description: str) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}, "description": description}


def said(*turns: str, today: str = "") -> list[dict[str, Any]]:
    """Messages: user and assistant take turns; today's date stands in a system message."""
    system = [{"role": "system", "content": f"Today is {today}."}] if today else []
    roles = ["user", "assistant"]
    return system + [{"role": roles[i % 2], "content": text} for i, text in enumerate(turns)]


def done(name: str, arguments: dict[str, Any], response: str) -> list[dict[str, Any]]:
    call = {"type": "function", "function": {"name": name, "arguments": arguments}}
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": name, "content": response},
    ]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"name": name, "arguments": {key.rstrip("_"): v for key, v in arguments.items()}}


def calls(*made: dict[str, Any]) -> dict[str, Any]:
    return {"calls": list(made)}


def text(words: str) -> dict[str, Any]:
    return {"text": words}


FERRY = tool(
    "ferry.book",
    "Reserve places on a ferry",
    "origin destination date",
    origin="string: Harbour of departure",
    destination="string: Harbour of arrival",
    date="string: Day of travel, YYYY-MM-DD",
    passengers="integer: How many people travel",
)
FERRY_CANCEL = tool(
    "ferry.cancel", "Cancel a ferry reservation", "reference", reference="string: Booking reference"
)
LOAN = tool(
    "loan_payment",
    "Monthly payment of a loan",
    "principal annual_rate years",
    principal="number: Sum borrowed",
    annual_rate="number: Yearly interest in percent",
    years="integer: Term in years",
)
ALARM = tool(
    "setAlarm",
    "Set an alarm",
    "time",
    time="string: Time, HH:MM",
    label="string: Name of the alarm",
    repeat="boolean: Whether to repeat every day",
)
LAMP = tool(
    "lamp_set",
    "Set brightness of a lamp",
    "room brightness",
    room="string: Room of the lamp",
    brightness="integer: Brightness in percent",
)
PLANT = tool(
    "garden.water",
    "Water a garden bed",
    "bed minutes",
    bed="string: Which bed",
    minutes="integer: How many minutes to water",
)
MAIL = tool(
    "send_mail",
    "Send an e-mail",
    "recipient subject",
    recipient="string: Address",
    subject="string: Subject line",
    cc=strings("Further addresses"),
)
INVOICE = tool(
    "create_invoice",
    "Create an invoice for a customer",
    "customer amount",
    customer="string: Customer name",
    amount="number: Amount to be paid",
    due_date="string: When it is due, YYYY-MM-DD",
    currency=enum("Currency", "EUR", "USD", "GBP"),
)
WIND = tool(
    "wind_forecast",
    "Forecast of wind speed for a place",
    "place",
    place="string: Place name",
    unit=enum("Unit of speed", "knots", "kmh", "beaufort"),
    days="integer: Days ahead",
)
TIDE = tool(
    "tide_table",
    "Times of high and low tide",
    "port day",
    port="string: Port",
    day="string: Day, YYYY-MM-DD",
)
RECIPE = tool(
    "recipes.search",
    "Find recipes",
    "ingredients",
    ingredients=strings("What to use"),
    max_minutes="integer: Longest cooking time",
    diet=enum("Diet", "vegan", "vegetarian", "none"),
)
TRANSFER = tool(
    "bank.transfer",
    "Move money between accounts",
    "from_account to_account amount",
    from_account="string: Account to take from",
    to_account="string: Account to pay to",
    amount="number: Amount",
)
PARCEL = tool("trackParcel", "Track a parcel", "parcel_id", parcel_id="string: Parcel number")
SIZE = tool(
    "frame_quote",
    "Price of a picture frame",
    "width height",
    width="number: Width in cm",
    height="number: Height in cm",
    material=enum("Material", "oak", "pine", "metal"),
)
MEETING = tool(
    "calendar_add",
    "Put a meeting into the calendar",
    "title date",
    title="string: Title of the meeting",
    date="string: Date, YYYY-MM-DD",
    start="string: Start time, HH:MM",
    attendees=strings("People to invite"),
)
MOVE = tool(
    "calendar_move",
    "Move an existing meeting to another date",
    "title date",
    title="string: Title of the meeting",
    date="string: New date, YYYY-MM-DD",
)
TICKETS = tool(
    "theatre_tickets",
    "Buy theatre tickets",
    "play seats",
    play="string: Name of the play",
    seats="integer: Number of seats",
    balcony="boolean: Whether on the balcony",
)
PH = tool(
    "ph_value",
    "Compute the pH of a solution",
    "concentration",
    concentration="number: Concentration in mol per litre",
)
DENSITY = tool(
    "density",
    "Density from mass and volume",
    "mass volume",
    mass="number: Mass in grams",
    volume="number: Volume in millilitres",
)
JOURNEY = tool(
    "train_times",
    "Timetable between two stations",
    "origin destination",
    origin="string: Station to leave from",
    destination="string: Station to arrive at",
    depart_after="string: Earliest departure, HH:MM",
)
TRANSLATE = tool(
    "translate",
    "Translate a text",
    "text target",
    text="string: Text to translate",
    target="string: Language code of the result",
    source="string: Language code of the text",
)
STOCK = tool("share_price", "Current price of a share", "symbol", symbol="string: Ticker symbol")
BUY = tool(
    "buy_shares",
    "Buy shares",
    "symbol count",
    symbol="string: Ticker symbol",
    count="integer: How many shares",
    limit="number: Highest price to pay",
)
SELL = tool(
    "sell_shares",
    "Sell shares",
    "symbol count",
    symbol="string: Ticker symbol",
    count="integer: How many shares",
    limit="number: Lowest price to accept",
)

MAY3 = "Friday, 2024-05-03"


def _ferry(**more: Any) -> dict[str, Any]:
    base = {"origin": "Calais", "destination": "Dover", "date": "2024-06-11"}
    return calls(call("ferry.book", **(base | more)))


_FERRY_SAID = said("Get us on the ferry to Dover from Calais on 11 June 2024, please.")

ROWS = [
    Row(
        "swapped origin and destination",
        [FERRY],
        _FERRY_SAID,
        _ferry(),
        _ferry(origin="Dover", destination="Calais"),
        SURE,
    ),
    Row("date one day late", [FERRY], _FERRY_SAID, _ferry(), _ferry(date="2024-06-12"), SURE),
    Row(
        "number as text",
        [FERRY],
        said("Ferry from Calais to Dover on 2024-06-11 for 4 people"),
        _ferry(passengers=4),
        _ferry(passengers="4"),
        SURE,
    ),
    Row(
        "optional count dropped",
        [FERRY],
        said("There are five of us: book five passengers, ferry Calais to Dover, June 11, 2024."),
        _ferry(passengers=5),
        _ferry(),
        SURE,
    ),
    Row(
        "required date missing",
        [FERRY],
        _FERRY_SAID,
        _ferry(),
        calls(call("ferry.book", origin="Calais", destination="Dover")),
        SURE,
    ),
    Row(
        "similar tool: cancel instead of book",
        [FERRY_CANCEL, FERRY],
        said("Please cancel my ferry reservation KX-4471."),
        calls(call("ferry.cancel", reference="KX-4471")),
        calls(call("ferry.book", origin="KX-4471", destination="KX-4471", date="KX-4471")),
        SURE,
    ),
    Row(
        "invented principal",
        [LOAN],
        said("What would I pay each month on 250,000 at 3.5% over twenty years?"),
        calls(call("loan_payment", principal=250000, annual_rate=3.5, years=20)),
        calls(call("loan_payment", principal=210000, annual_rate=3.5, years=20)),
        SURE,
    ),
    Row(
        "half a million",
        [LOAN],
        said("Suppose I borrow half a million at 4 percent for 15 years, what's the monthly rate?"),
        calls(call("loan_payment", principal=500000, annual_rate=4, years=15)),
        calls(call("loan_payment", principal=50000, annual_rate=4, years=15)),
        SURE,
    ),
    Row(
        "rate and term swapped",
        [LOAN],
        said("Monthly payment for 90000 borrowed at an interest of 6 percent, term 5 years?"),
        calls(call("loan_payment", principal=90000, annual_rate=6, years=5)),
        calls(call("loan_payment", principal=90000, annual_rate=5, years=6)),
        SURE,
    ),
    Row(
        "time in words",
        [ALARM],
        said("Wake me at half past six in the morning"),
        calls(call("setAlarm", time="06:30")),
        calls(call("setAlarm", time="06:00")),
        SURE,
    ),
    Row(
        "pm taken for am",
        [ALARM],
        said("Set an alarm for 7:45 pm called pizza."),
        calls(call("setAlarm", time="19:45", label="pizza")),
        calls(call("setAlarm", time="07:45", label="pizza")),
        SURE,
    ),
    Row(
        "optional label dropped",
        [ALARM],
        said('Alarm for 05:15, name it "airport run"'),
        calls(call("setAlarm", time="05:15", label="airport run")),
        calls(call("setAlarm", time="05:15")),
        SURE,
    ),
    Row(
        "boolean against what is said",
        [ALARM],
        said("Alarm at 22:10, repeat it every day"),
        calls(call("setAlarm", time="22:10", repeat=True)),
        calls(call("setAlarm", time="22:10", repeat=False)),
        SURE,
    ),
    Row(
        "negated boolean",
        [TICKETS],
        said("Two seats for Hamlet, but not on the balcony"),
        calls(call("theatre_tickets", play="Hamlet", seats=2, balcony=False)),
        calls(call("theatre_tickets", play="Hamlet", seats=2, balcony=True)),
        SURE,
    ),
    Row(
        "one of two calls dropped",
        [LAMP],
        said("Dim the kitchen to 20 percent and the hallway to 35 percent."),
        calls(
            call("lamp_set", room="kitchen", brightness=20),
            call("lamp_set", room="hallway", brightness=35),
        ),
        calls(call("lamp_set", room="kitchen", brightness=20)),
        SURE,
    ),
    Row(
        "paired crosswise, respectively",
        [PLANT],
        said("Water the roses and the beans for 12 and 8 minutes respectively."),
        calls(
            call("garden.water", bed="roses", minutes=12),
            call("garden.water", bed="beans", minutes=8),
        ),
        calls(
            call("garden.water", bed="roses", minutes=8),
            call("garden.water", bed="beans", minutes=12),
        ),
        SURE,
    ),
    Row(
        "paired crosswise, one by one",
        [PLANT],
        said("Give the tomatoes 25 minutes of water and the herbs 5 minutes."),
        calls(
            call("garden.water", bed="tomatoes", minutes=25),
            call("garden.water", bed="herbs", minutes=5),
        ),
        calls(
            call("garden.water", bed="tomatoes", minutes=5),
            call("garden.water", bed="herbs", minutes=25),
        ),
        SURE,
    ),
    Row(
        "same call twice",
        [PARCEL],
        said("Where is parcel 88-1203-X?"),
        calls(call("trackParcel", parcel_id="88-1203-X")),
        calls(
            call("trackParcel", parcel_id="88-1203-X"), call("trackParcel", parcel_id="88-1203-X")
        ),
        SURE,
    ),
    Row(
        "digit changed in an id",
        [PARCEL],
        said("Where is parcel 88-1203-X?"),
        calls(call("trackParcel", parcel_id="88-1203-X")),
        calls(call("trackParcel", parcel_id="88-1208-X")),
        SURE,
    ),
    Row(
        "text where a call is due",
        [PARCEL, WIND],
        said("Track my parcel, its number is JJ900412"),
        calls(call("trackParcel", parcel_id="JJ900412")),
        text("None of my tools can do that."),
        SURE,
    ),
    Row(
        "needless question",
        [PARCEL],
        said("Track my parcel, its number is JJ900412"),
        calls(call("trackParcel", parcel_id="JJ900412")),
        text("What is the parcel number?"),
        SURE,
    ),
    Row(
        "call where a value is missing",
        [PARCEL],
        said("Could you track my parcel?"),
        text("Sure, what is the parcel number?"),
        calls(call("trackParcel", parcel_id="AB123456")),
        SURE,
    ),
    Row(
        "call where no tool fits",
        [PARCEL, STOCK],
        said("Write a poem about the river Elbe."),
        text("I have no tool that writes poems."),
        calls(call("share_price", symbol="Elbe")),
        UNSURE,
    ),
    Row(
        "call of an unrelated tool with a grounded value",
        [WIND, LAMP],
        said("How many inhabitants does Tarifa have?"),
        text("I can't look up populations with the tools I have."),
        calls(call("wind_forecast", place="Tarifa")),
        UNSURE,
    ),
    Row(
        "enum changed",
        [WIND],
        said("Wind at Tarifa for the next 3 days, in knots"),
        calls(call("wind_forecast", place="Tarifa", unit="knots", days=3)),
        calls(call("wind_forecast", place="Tarifa", unit="beaufort", days=3)),
        SURE,
    ),
    Row(
        "enum dropped",
        [WIND],
        said("Give me the wind forecast for Brest in knots."),
        calls(call("wind_forecast", place="Brest", unit="knots")),
        calls(call("wind_forecast", place="Brest")),
        SURE,
    ),
    Row(
        "enum by synonym",
        [INVOICE],
        said("Invoice Brandt & Co for 1,450 euros."),
        calls(call("create_invoice", customer="Brandt & Co", amount=1450, currency="EUR")),
        calls(call("create_invoice", customer="Brandt & Co", amount=1450, currency="USD")),
        SURE,
    ),
    Row(
        "relative date: tomorrow",
        [TIDE],
        said("When is high tide in Cuxhaven tomorrow?", today=MAY3),
        calls(call("tide_table", port="Cuxhaven", day="2024-05-04")),
        calls(call("tide_table", port="Cuxhaven", day="2024-05-03")),
        SURE,
    ),
    Row(
        "relative date: weekday",
        [TIDE],
        said("Tides for Penzance on Tuesday", today=MAY3),
        calls(call("tide_table", port="Penzance", day="2024-05-07")),
        calls(call("tide_table", port="Penzance", day="2024-05-08")),
        SURE,
    ),
    Row(
        "relative date: in two weeks",
        [TIDE],
        said("I'll be in Galway in two weeks. Look up the tide there.", today=MAY3),
        calls(call("tide_table", port="Galway", day="2024-05-17")),
        calls(call("tide_table", port="Galway", day="2024-05-16")),
        SURE,
    ),
    Row(
        "relative date: day after tomorrow",
        [MEETING],
        said("Put a meeting 'Roof repair' in the calendar for the day after tomorrow", today=MAY3),
        calls(call("calendar_add", title="Roof repair", date="2024-05-05")),
        calls(call("calendar_add", title="Roof repair", date="2024-05-04")),
        SURE,
    ),
    Row(
        "list item dropped",
        [RECIPE],
        said("Find recipes with leeks, potatoes and cream."),
        calls(call("recipes.search", ingredients=["leeks", "potatoes", "cream"])),
        calls(call("recipes.search", ingredients=["leeks", "potatoes"])),
        SURE,
    ),
    Row(
        "list order changed",
        [RECIPE],
        said("Find recipes with leeks, potatoes and cream."),
        calls(call("recipes.search", ingredients=["leeks", "potatoes", "cream"])),
        calls(call("recipes.search", ingredients=["cream", "potatoes", "leeks"])),
        SURE,
    ),
    Row(
        "list item invented",
        [RECIPE],
        said("What can I cook from rice and lentils?"),
        calls(call("recipes.search", ingredients=["rice", "lentils"])),
        calls(call("recipes.search", ingredients=["rice", "lentils", "onions"])),
        UNSURE,
    ),
    Row(
        "limit dropped",
        [RECIPE],
        said("Vegan recipes with tofu that take at most 25 minutes"),
        calls(call("recipes.search", ingredients=["tofu"], max_minutes=25, diet="vegan")),
        calls(call("recipes.search", ingredients=["tofu"], diet="vegan")),
        SURE,
    ),
    Row(
        "accounts swapped",
        [TRANSFER],
        said("Move 300 to account SAV-2 from account GIRO-7"),
        calls(call("bank.transfer", from_account="GIRO-7", to_account="SAV-2", amount=300)),
        calls(call("bank.transfer", from_account="SAV-2", to_account="GIRO-7", amount=300)),
        SURE,
    ),
    Row(
        "both accounts the same",
        [TRANSFER],
        said("Move 300 from account GIRO-7 to account SAV-2"),
        calls(call("bank.transfer", from_account="GIRO-7", to_account="SAV-2", amount=300)),
        calls(call("bank.transfer", from_account="GIRO-7", to_account="GIRO-7", amount=300)),
        SURE,
    ),
    Row(
        "width and height swapped",
        [SIZE],
        said("How much is an oak frame with a height of 70 cm and a width of 40 cm?"),
        calls(call("frame_quote", width=40, height=70, material="oak")),
        calls(call("frame_quote", width=70, height=40, material="oak")),
        SURE,
    ),
    Row(
        "width and height swapped, words behind",
        [SIZE],
        said("I need a pine frame, 55 wide and 80 high."),
        calls(call("frame_quote", width=55, height=80, material="pine")),
        calls(call("frame_quote", width=80, height=55, material="pine")),
        SURE,
    ),
    Row(
        "mass and volume swapped",
        [DENSITY],
        said("A stone has a mass of 54 grams and a volume of 20 millilitres. Its density?"),
        calls(call("density", mass=54, volume=20)),
        calls(call("density", mass=20, volume=54)),
        SURE,
    ),
    Row(
        "similar tool: move instead of add",
        [MOVE, MEETING],
        said("Add a meeting called Budget review to my calendar on 2024-09-02."),
        calls(call("calendar_add", title="Budget review", date="2024-09-02")),
        calls(call("calendar_move", title="Budget review", date="2024-09-02")),
        UNSURE,
    ),
    Row(
        "similar tool: sell instead of buy",
        [SELL, BUY, STOCK],
        said("Buy 40 shares of NVTK"),
        calls(call("buy_shares", symbol="NVTK", count=40)),
        calls(call("sell_shares", symbol="NVTK", count=40)),
        SURE,
    ),
    Row(
        "similar tool: price instead of buy",
        [STOCK, BUY],
        said("Please buy 15 shares of ORLA."),
        calls(call("buy_shares", symbol="ORLA", count=15)),
        calls(call("share_price", symbol="ORLA")),
        SURE,
    ),
    Row(
        "call added that nobody asked for",
        [STOCK, BUY],
        said("What's the price of ORLA right now?"),
        calls(call("share_price", symbol="ORLA")),
        calls(call("share_price", symbol="ORLA"), call("buy_shares", symbol="ORLA", count=1)),
        SURE,
    ),
    Row(
        "second tool dropped",
        [WIND, TIDE],
        said("For Tarifa I need the wind forecast as well as the tide table of 2024-08-01."),
        calls(
            call("wind_forecast", place="Tarifa"),
            call("tide_table", port="Tarifa", day="2024-08-01"),
        ),
        calls(call("wind_forecast", place="Tarifa")),
        SURE,
    ),
    Row(
        "value from an earlier turn",
        [WIND],
        said("Wind forecast for Brest", "12 knots from the west.", "And the wind for Lorient?"),
        calls(call("wind_forecast", place="Lorient")),
        calls(call("wind_forecast", place="Brest")),
        SURE,
    ),
    Row(
        "answer to a question",
        [PLANT],
        said("Water the roses.", "For how many minutes?", "Fifteen"),
        calls(call("garden.water", bed="roses", minutes=15)),
        calls(call("garden.water", bed="roses", minutes=50)),
        SURE,
    ),
    Row(
        "answer to a question not used",
        [PLANT],
        said("Water the roses.", "For how many minutes?", "Fifteen"),
        calls(call("garden.water", bed="roses", minutes=15)),
        text("For how many minutes?"),
        SURE,
    ),
    Row(
        "value from a tool response",
        [PARCEL, MAIL],
        [
            *said("Look up the order of Mira Holt and then track its parcel."),
            *done(
                "find_order", {"customer": "Mira Holt"}, '{"order": 771, "parcel_id": "ZQ-55410"}'
            ),
        ],
        calls(call("trackParcel", parcel_id="ZQ-55410")),
        calls(call("trackParcel", parcel_id="771")),
        SURE,
    ),
    Row(
        "call already made",
        [STOCK, BUY],
        [
            *said("Check the price of HALI, then buy 12 of them at that limit."),
            *done("share_price", {"symbol": "HALI"}, '{"price": 41.2}'),
        ],
        calls(call("buy_shares", symbol="HALI", count=12, limit=41.2)),
        calls(call("share_price", symbol="HALI")),
        SURE,
    ),
    Row(
        "truncated name",
        [WIND],
        said("How windy will it be in San Sebastian?"),
        calls(call("wind_forecast", place="San Sebastian")),
        calls(call("wind_forecast", place="San")),
        SURE,
    ),
    Row(
        "misspelt name",
        [WIND],
        said("How windy will it be in Reykjavik?"),
        calls(call("wind_forecast", place="Reykjavik")),
        calls(call("wind_forecast", place="Reykjavk")),
        SURE,
    ),
    Row(
        "unknown tool",
        [WIND],
        said("How windy will it be in Reykjavik?"),
        calls(call("wind_forecast", place="Reykjavik")),
        calls(call("get_wind", place="Reykjavik")),
        SURE,
    ),
    Row(
        "unknown argument",
        [WIND],
        said("How windy will it be in Reykjavik?"),
        calls(call("wind_forecast", place="Reykjavik")),
        calls(call("wind_forecast", place="Reykjavik", hour=3)),
        SURE,
    ),
    Row(
        "list as a text",
        [MAIL],
        said('Mail kai@elm.example with subject "Keys" and cc ute@elm.example'),
        calls(
            call("send_mail", recipient="kai@elm.example", subject="Keys", cc=["ute@elm.example"])
        ),
        calls(call("send_mail", recipient="kai@elm.example", subject="Keys", cc="ute@elm.example")),
        SURE,
    ),
    Row(
        "recipient and copy swapped",
        [MAIL],
        said('Mail kai@elm.example with subject "Keys" and cc ute@elm.example'),
        calls(
            call("send_mail", recipient="kai@elm.example", subject="Keys", cc=["ute@elm.example"])
        ),
        calls(
            call("send_mail", recipient="ute@elm.example", subject="Keys", cc=["kai@elm.example"])
        ),
        UNSURE,
    ),
    Row(
        "copy dropped",
        [MAIL],
        said('Mail kai@elm.example with subject "Keys" and cc ute@elm.example'),
        calls(
            call("send_mail", recipient="kai@elm.example", subject="Keys", cc=["ute@elm.example"])
        ),
        calls(call("send_mail", recipient="kai@elm.example", subject="Keys")),
        SURE,
    ),
    Row(
        "stations swapped, to before from",
        [JOURNEY],
        said("Which trains go to Lyon from Nantes after 9:30?"),
        calls(call("train_times", origin="Nantes", destination="Lyon", depart_after="09:30")),
        calls(call("train_times", origin="Lyon", destination="Nantes", depart_after="09:30")),
        SURE,
    ),
    Row(
        "departure time dropped",
        [JOURNEY],
        said("Trains from Nantes to Lyon after 9:30 am"),
        calls(call("train_times", origin="Nantes", destination="Lyon", depart_after="09:30")),
        calls(call("train_times", origin="Nantes", destination="Lyon")),
        SURE,
    ),
    Row(
        "languages swapped",
        [TRANSLATE],
        said('Translate "guten Morgen" from German into French.'),
        calls(call("translate", text="guten Morgen", source="de", target="fr")),
        calls(call("translate", text="guten Morgen", source="fr", target="de")),
        SURE,
    ),
    Row(
        "quoted text cut short",
        [TRANSLATE],
        said('Put "the tide is out again" into Spanish'),
        calls(call("translate", text="the tide is out again", target="es")),
        calls(call("translate", text="the tide is out", target="es")),
        SURE,
    ),
    Row(
        "due date off by a month",
        [INVOICE],
        said("Bill Osman Ltd 780.50, due on the 3rd of March 2025."),
        calls(call("create_invoice", customer="Osman Ltd", amount=780.5, due_date="2025-03-03")),
        calls(call("create_invoice", customer="Osman Ltd", amount=780.5, due_date="2025-04-03")),
        SURE,
    ),
    Row(
        "a dozen",
        [TICKETS],
        said("We need a dozen seats for The Seagull."),
        calls(call("theatre_tickets", play="The Seagull", seats=12)),
        calls(call("theatre_tickets", play="The Seagull", seats=10)),
        SURE,
    ),
    Row(
        "scientific number",
        [PH],
        said("What is the pH at a concentration of 0.0025 mol per litre?"),
        calls(call("ph_value", concentration=0.0025)),
        calls(call("ph_value", concentration=0.025)),
        SURE,
    ),
    Row(
        "attendee left out",
        [MEETING],
        said("Meeting 'Kiln safety' on 2024-10-09 at 14:00, invite Jonas, Priya and Lee"),
        calls(
            call(
                "calendar_add",
                title="Kiln safety",
                date="2024-10-09",
                start="14:00",
                attendees=["Jonas", "Priya", "Lee"],
            )
        ),
        calls(
            call(
                "calendar_add",
                title="Kiln safety",
                date="2024-10-09",
                start="14:00",
                attendees=["Jonas", "Lee"],
            )
        ),
        SURE,
    ),
    Row(
        "three calls, one value used twice",
        [STOCK],
        said("Prices of ORLA, HALI and NVTK please"),
        calls(
            call("share_price", symbol="ORLA"),
            call("share_price", symbol="HALI"),
            call("share_price", symbol="NVTK"),
        ),
        calls(
            call("share_price", symbol="ORLA"),
            call("share_price", symbol="HALI"),
            call("share_price", symbol="HALI"),
        ),
        SURE,
    ),
    Row(
        "distributive: both rooms",
        [LAMP],
        said("Set the study and the cellar to 60 percent each"),
        calls(
            call("lamp_set", room="study", brightness=60),
            call("lamp_set", room="cellar", brightness=60),
        ),
        calls(call("lamp_set", room="study", brightness=60)),
        SURE,
    ),
    Row(
        "clarify: which day is missing",
        [TIDE],
        said("Tide table for Husum, please"),
        text("For which day do you need the tide table?"),
        calls(call("tide_table", port="Husum", day="2024-05-03")),
        SURE,
    ),
    Row(
        "clarify: destination filled with the origin",
        [JOURNEY],
        said("I want to take a train from Nantes."),
        text("Where do you want to go from Nantes?"),
        calls(call("train_times", origin="Nantes", destination="Nantes")),
        SURE,
    ),
    Row(
        "clarify: required value left out",
        [LAMP],
        said("Dim the lamp in the attic a bit"),
        text("To how many percent should I set it?"),
        calls(call("lamp_set", room="attic")),
        SURE,
    ),
    Row(
        "question after the answer came",
        [JOURNEY],
        said("Train from Nantes, please.", "Where to?", "To Lyon"),
        calls(call("train_times", origin="Nantes", destination="Lyon")),
        calls(call("train_times", origin="Lyon", destination="Nantes")),
        SURE,
    ),
    Row(
        "later correction",
        [SIZE],
        said("A metal frame, 30 wide and 45 high.", "That is 18 euros.", "And in oak?"),
        calls(call("frame_quote", width=30, height=45, material="oak")),
        calls(call("frame_quote", width=30, height=45, material="metal")),
        SURE,
    ),
    Row(
        "later number instead of the earlier",
        [BUY],
        said("Buy 20 shares of ORLA", "At which limit?", "At 33.5, and make it 25 shares"),
        calls(call("buy_shares", symbol="ORLA", count=25, limit=33.5)),
        calls(call("buy_shares", symbol="ORLA", count=20, limit=33.5)),
        SURE,
    ),
    Row(
        "irrelevant: booking asked, forecast offered",
        [WIND, PH],
        said("Book me a hotel room in Antwerp for two nights"),
        text("I have no tool to book hotels."),
        calls(call("wind_forecast", place="Antwerp", days=2)),
        UNSURE,
    ),
    Row(
        "second step with the wrong field of the response",
        [PARCEL, MAIL],
        [
            *said("Find the parcel number of order 7 and track it."),
            *done("order_info", {"order": "7"}, '{"invoice_id": "INV-20", "parcel_id": "PK-31"}'),
        ],
        calls(call("trackParcel", parcel_id="PK-31")),
        calls(call("trackParcel", parcel_id="INV-20")),
        SURE,
    ),
    Row(
        "year instead of count",
        [TICKETS],
        said("Get 3 seats for the play Copenhagen, the 1998 one"),
        calls(call("theatre_tickets", play="Copenhagen", seats=3)),
        calls(call("theatre_tickets", play="Copenhagen", seats=1998)),
        UNSURE,
    ),
    Row(
        "one value for two calls",
        [LAMP],
        said("Attic to 15 percent, garage to 80 percent"),
        calls(
            call("lamp_set", room="attic", brightness=15),
            call("lamp_set", room="garage", brightness=80),
        ),
        calls(
            call("lamp_set", room="attic", brightness=15),
            call("lamp_set", room="garage", brightness=15),
        ),
        SURE,
    ),
    Row(
        "percent written out",
        [LAMP],
        said("Turn the porch lamp up to seventy-five percent"),
        calls(call("lamp_set", room="porch", brightness=75)),
        calls(call("lamp_set", room="porch", brightness=70)),
        SURE,
    ),
    Row(
        "thousands separator",
        [TRANSFER],
        said("Send 12,500 from K-1 to K-2"),
        calls(call("bank.transfer", from_account="K-1", to_account="K-2", amount=12500)),
        calls(call("bank.transfer", from_account="K-1", to_account="K-2", amount=12.5)),
        SURE,
    ),
    Row(
        "minutes said as hours",
        [PLANT],
        said("Run the sprinkler on the lawn bed for an hour and a half"),
        calls(call("garden.water", bed="lawn", minutes=90)),
        calls(call("garden.water", bed="lawn", minutes=60)),
        SURE,
    ),
    Row(
        "second call of three dropped",
        [TIDE],
        said(
            "Tides for Brest on 2024-06-01, for Lorient on 2024-06-02 and for Vannes on 2024-06-03"
        ),
        calls(
            call("tide_table", port="Brest", day="2024-06-01"),
            call("tide_table", port="Lorient", day="2024-06-02"),
            call("tide_table", port="Vannes", day="2024-06-03"),
        ),
        calls(
            call("tide_table", port="Brest", day="2024-06-01"),
            call("tide_table", port="Vannes", day="2024-06-03"),
        ),
        SURE,
    ),
    Row(
        "dates of two calls swapped",
        [TIDE],
        said("Tides for Brest on 2024-06-01 and for Lorient on 2024-06-02"),
        calls(
            call("tide_table", port="Brest", day="2024-06-01"),
            call("tide_table", port="Lorient", day="2024-06-02"),
        ),
        calls(
            call("tide_table", port="Brest", day="2024-06-02"),
            call("tide_table", port="Lorient", day="2024-06-01"),
        ),
        SURE,
    ),
]
