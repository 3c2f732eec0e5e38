"""Derived and nested values: said in another form only if the document asks for theirs."""

import random

from looptool.offline.grammar import trees
from looptool.offline.grammar.generators import DRAW
from looptool.offline.grammar.slots import Slot
from looptool.offline.grammar.speech import surface


def said_as(kind, value, **schema):
    made = Slot("x", "x", trees.kinds()[kind], schema, True, "thing")
    return {surface(made, value, random.Random(seed)) for seed in range(60)}


def test_a_code_is_said_as_what_it_stands_for_if_the_document_asks_for_a_code():
    assert said_as("country_code", "DE", description="ISO code of the country") == {"Germany"}
    assert said_as("country_code", "DE", description="The country") == {"DE"}
    assert said_as("city_state", "Austin, TX", description="City and state") == {"Austin"}
    assert said_as("month_number", 3) == {"March"}


def test_an_amount_is_said_in_a_larger_unit_if_the_document_names_the_small_one():
    assert "2 hours" in said_as("in_minutes", 120, description="Duration in minutes")
    assert "1.5 km" in said_as("in_meters", 1500, description="Distance in meters")
    assert said_as("in_meters", 1500, description="Distance in centimeters") == {"1500"}
    assert said_as("in_cents", 1250, description="Price in cents") == {"$12.50"}


def test_consecutive_numbers_are_sometimes_said_as_a_range():
    assert {"1 to 5", "1 through 5"} <= said_as("series", [1, 2, 3, 4, 5])


def test_objects_are_said_short_only_if_the_document_names_their_fields():
    items = [{"product": "pens", "quantity": 2}, {"product": "chairs", "quantity": 3}]
    assert "2 pens and 3 chairs" in said_as("objects", items, description="product and quantity")
    assert said_as("objects", items) == {"product pens, quantity 2; product chairs, quantity 3"}


def test_a_nested_parameter_whose_schema_says_what_it_holds_follows_its_schema():
    schema = {"type": "array", "items": {"type": "string"}}
    made = Slot("goods", "goods", trees.kinds()["objects"], schema, True, "goods")
    value = DRAW["objects"](made, random.Random(1))
    assert all(isinstance(item, str) for item in value)
    assert surface(made, value, random.Random(1))
