"""Lists and articles."""

from looptool.english.lists import coordinate, correct_articles, with_article


def test_lists_and_articles():
    assert coordinate(["a", "b", "c"]) == "a, b and c"
    assert [with_article(word) for word in ("apple", "user", "8-ball", "one")] == [
        "an apple",
        "a user",
        "an 8-ball",
        "a one",
    ]
    assert correct_articles("A actor with a unit and a egg") == "An actor with a unit and an egg"
