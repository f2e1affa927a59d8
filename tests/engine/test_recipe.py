"""What the base of every recipe offers."""

from turnaround.engine import Lazy


def test_lazy_examples_are_made_once_and_only_when_asked_for() -> None:
    made: list[int] = []

    def square(item: int) -> int:
        made.append(item)
        return item * item

    lazy = Lazy(range(10), square)
    assert (len(lazy), made) == (10, [])
    assert (lazy[3], lazy[3], lazy[8:]) == (9, 9, [64, 81])
    assert made == [3, 8, 9]
