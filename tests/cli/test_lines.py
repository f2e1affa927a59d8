import io
from collections.abc import Callable

from turnaround.cli.views.lines import Lines
from turnaround.cli.views.progress import Progress
from turnaround.forecast.eta import Forecast
from turnaround.spec import Budget, Event

MakeEvent = Callable[..., Event]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_thing_that_matters_is_a_line(
    event: MakeEvent, training: Callable[[], list[Event]]
) -> None:
    out, clock = io.StringIO(), Clock()
    view = Lines("seq2seq-aaaaa", Progress(Budget(steps=3000)), out, clock)
    view.take(event("status", status="RUNNING", reason=""))
    for one in training():
        view.take(one)
        clock.now += 2.0
    view.take(event("warning", message="the disk is full"))
    view.take(event("status", attempt=2, status="QUEUED", reason="waits for 1 CPU"))
    assert out.getvalue() == (
        "seq2seq-aaaaa RUNNING\n"
        "step 1,500/3,000  valid loss 0.6412  bleu 71.31\n"
        "warning: the disk is full\n"
        "seq2seq-aaaaa QUEUED (attempt 2): waits for 1 CPU\n"
    )


def test_in_between_one_line_in_five_seconds(event: MakeEvent) -> None:
    out, clock = io.StringIO(), Clock()
    forecast = Forecast({"goal": {"steps": 300}}, list, now=0.0)
    view = Lines("seq2seq-aaaaa", Progress(Budget(steps=300), forecast), out, clock)
    view.take(event("status", status="RUNNING", reason=""))
    for step in range(0, 300, 10):
        view.take(event("progress", step=step, steps=300, examples=step * 64, rate=640.0, loss=2.0))
        clock.now += 0.5
    assert out.getvalue() == (
        "seq2seq-aaaaa RUNNING\n"
        "step 100/300  33%  loss 2  640 examples/s  23s left (16–32s)\n"
        "step 200/300  67%  loss 2  640 examples/s  12s left (8.2–18s)\n"
    )


def test_catching_up_is_one_line(event: MakeEvent, training: Callable[[], list[Event]]) -> None:
    out = io.StringIO()
    view = Lines("seq2seq-aaaaa", Progress(), out)
    view.catch_up([event("status", status="RUNNING", reason=""), *training()])
    assert out.getvalue() == "seq2seq-aaaaa RUNNING\n"
    assert view.progress.step == 1620
