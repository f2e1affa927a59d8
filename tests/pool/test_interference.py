"""When a run is slower beside others than it would be in turns with them."""

from __future__ import annotations

from turnaround.pool.node.interference import LOOKS, Crowding
from turnaround.spec import Event, to_json


def said(rate: float, kind: str = "progress") -> bytes:
    return to_json(Event(kind, {"rate": rate}, 0.0)).encode()


def hear(crowding: Crowding, *rates: float) -> bool:
    for rate in rates:
        crowding.hear(said(rate))
    return crowding.slow


def test_half_of_what_it_makes_alone_is_what_turns_would_give() -> None:
    assert not hear(Crowding(0.5, 100.0), *[50.0] * LOOKS)
    assert not hear(Crowding(0.5, 100.0), *[46.0] * LOOKS)
    assert hear(Crowding(0.5, 100.0), *[44.0] * LOOKS)


def test_a_slow_moment_is_none() -> None:
    crowding = Crowding(0.25, 100.0)
    assert not hear(crowding, *[30.0] * LOOKS, *[1.0] * (LOOKS // 2 - 1))
    assert hear(crowding, 1.0, 1.0)
    assert not hear(crowding, *[30.0] * (LOOKS // 2 + 1))


def test_a_few_looks_tell_nothing() -> None:
    assert not hear(Crowding(0.5, 100.0), *[1.0] * (LOOKS - 1))


def test_a_run_of_which_nobody_knows_how_fast_it_is_alone_is_never_slow() -> None:
    assert not hear(Crowding(0.5, None), *[1.0] * LOOKS)
    assert not hear(Crowding(None, 100.0), *[1.0] * LOOKS)


def test_other_events_say_nothing_of_it() -> None:
    crowding = Crowding(0.5, 100.0)
    for _ in range(LOOKS):
        crowding.hear(said(1.0, "summary"))
    assert not crowding.slow
