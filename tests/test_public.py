import turnaround
import turnaround.engine


def test_the_public_names_are_these() -> None:
    assert turnaround.__all__ == ["__version__"]
    assert turnaround.engine.__all__ == [
        "Endless",
        "Furthest",
        "Lazy",
        "Mean",
        "Perplexity",
        "Recipe",
        "Samples",
        "Tally",
        "Typical",
    ]


def test_every_public_name_is_there() -> None:
    for room in (turnaround, turnaround.engine):
        assert [name for name in room.__all__ if not hasattr(room, name)] == []
