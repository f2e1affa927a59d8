from collections.abc import Callable

from turnaround.cli.views.progress import Progress
from turnaround.forecast.eta import Forecast
from turnaround.spec import Budget, Event, Status, to_dict

MakeEvent = Callable[..., Event]


def fold(budget: Budget, *events: Event) -> Progress:
    asked = {"goal": {name: value for name, value in to_dict(budget).items() if value}}
    progress = Progress(budget, Forecast(asked, list, now=0.0), status=Status.RUNNING)
    for one in events:
        progress.add(one)
    return progress


def test_steps_give_the_share_and_what_is_left(event: MakeEvent) -> None:
    progress = fold(
        Budget(steps=3000),
        event("progress", step=750, steps=3000, examples=7500, rate=100.0, loss=1.0),
    )
    assert progress.fraction == 0.25
    left = progress.left(progress.seen.at or 0.0)
    assert left is not None
    assert 225 < left.middle < 260  # 2,250 steps of 10 examples at 100 a second, and the end
    assert left.low < 225 < left.high


def test_the_part_of_the_budget_that_ends_first_counts(event: MakeEvent) -> None:
    budget = Budget(steps=1000, examples=4000, time=100.0)
    progress = fold(
        budget,
        event(
            "metrics", step=100, split="train", values={"loss": 2.0}, examples=1000, seconds=50.0
        ),
        event("progress", step=100, steps=1000, examples=1000, rate=20.0, loss=2.0),
    )
    assert progress.fraction == 0.5
    left = progress.left(progress.seen.at or 0.0)
    assert left is not None
    assert left.low <= 50.0 <= left.high
    assert left.middle < 60


def test_without_an_end_nothing_is_promised(event: MakeEvent) -> None:
    progress = fold(
        Budget(target=90.0), event("progress", step=5, examples=50, rate=10.0, loss=1.0)
    )
    assert progress.fraction is None
    assert progress.left(0.0) is None


def test_the_first_error_of_the_newest_attempt_is_the_cause(event: MakeEvent) -> None:
    errors = [("first", 1), ("cause", 2), ("echo", 2), ("late", 1)]
    progress = fold(Budget(), *(event("error", attempt=n, message=text) for text, n in errors))
    assert progress.error is not None
    assert progress.error.data["message"] == "cause"


def test_a_kind_that_is_not_known_yet_is_passed_over(event: MakeEvent) -> None:
    progress = Progress()
    progress.add(event("hologram", attempt=3))
    assert progress == Progress()


def test_only_the_last_notices_stay(event: MakeEvent) -> None:
    progress = fold(Budget(), *(event("notice", message=str(n)) for n in range(9)))
    assert [notice.data["message"] for notice in progress.notices] == ["6", "7", "8"]
