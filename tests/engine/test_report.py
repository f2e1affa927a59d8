from __future__ import annotations

import json
import time
from typing import Any

import pytest
import torch

from turnaround.engine.lines import Point
from turnaround.engine.metrics import Mean
from turnaround.engine.report import Curve, Norm, Report
from turnaround.errors import NumericsError
from turnaround.fusion import Trace
from turnaround.spec import Event, to_json

CPU = torch.device("cpu")


def one() -> torch.Tensor:
    return torch.tensor(1.0)


class Ear(list[dict[str, Any]]):
    """Events, as they came."""

    def __init__(self) -> None:
        super().__init__()
        self.report = Report(self, attempt=1, rank=0)

    def __call__(self, text: str) -> None:
        self.extend(json.loads(line) for line in text.splitlines())

    def of(self, kind: str) -> list[dict[str, Any]]:
        self.report.flush()
        return [event["data"] for event in self if event["kind"] == kind]


class Clock:
    """Time that passes when it is told to."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def budget(point: Point) -> tuple[int, float]:
    return 1000, point.step / 1000


def curve(ear: Ear, clock: Clock) -> Curve:
    return Curve(ear.report, CPU, budget, lambda point: "nobody", clock)


def steps(curve: Curve, clock: Clock, numbers: range, seconds: float) -> None:
    """Steps of ten examples, each of a loss equal to its number."""
    for step in numbers:
        clock.now += seconds
        point = Point(step, step / 10, 10 * step, clock.now, rate=0.1)
        take(curve, point, torch.tensor([2.0 * step, 2.0]), one)


def take(curve: Curve, point: Point, loss: torch.Tensor, norm: Norm) -> None:
    curve.add(point.step, point.seconds, Mean(loss), norm, lambda: point)


def said(ear: Ear) -> list[int]:
    return [point["step"] for point in ear.of("metrics")]


def test_events_are_stamped_and_numbered() -> None:
    ear = Ear()
    report = Report(ear, attempt=2, rank=0)
    report.event("notice", message="hello")
    report.warning("careful")
    assert [(e["kind"], e["seq"], e["attempt"]) for e in ear] == [
        ("notice", 1, 2),
        ("warning", 2, 2),
    ]


def test_other_ranks_speak_for_themselves_only() -> None:
    ear = Ear()
    report = Report(ear, attempt=1, rank=1)
    for kind in ("metrics", "worker", "checkpoint", "error", "warning"):
        report.event(kind)
    assert [(event["kind"], event["seq"]) for event in ear] == [("worker", 1), ("error", 2)]


def test_early_steps_are_all_points() -> None:
    ear, clock = Ear(), Clock()
    steps(curve(ear, clock), clock, range(1, 61), seconds=0.0001)
    assert said(ear) == list(range(1, 51))


def test_points_of_fast_steps_are_sent_together() -> None:
    sent: list[str] = []
    drawn = Curve(Report(sent.append, 1, 0), CPU, budget, lambda point: "nobody", time.monotonic)
    began = time.monotonic()
    for step in range(1, 41):
        time.sleep(0.005)
        point = Point(step, step / 10, 10 * step, 0.0, rate=0.1)
        take(drawn, point, torch.ones(2), one)
    taken = time.monotonic() - began
    drawn.settle(one)
    assert sum(text.count('"metrics"') for text in sent) == 40
    assert len(sent) <= 2 + taken / 0.04


def test_points_of_slow_steps_do_not_wait() -> None:
    sent: list[str] = []
    clock = Clock()
    drawn = Curve(Report(sent.append, 1, 0), CPU, budget, lambda point: "nobody", clock)
    for step in range(1, 5):
        clock.now += 0.6
        take(drawn, Point(step, 0, 0, 0, 0), torch.ones(2), one)
        assert sum(text.count('"metrics"') for text in sent) == step


def test_what_is_no_number_is_sent_at_once_and_with_it_all_that_waits() -> None:
    sent: list[str] = []
    report = Report(sent.append, 1, 0)
    report.hurried = False
    report.event("metrics", step=1)
    assert sent == []
    report.warning("careful")
    (text,) = sent
    assert [json.loads(line)["kind"] for line in text.splitlines()] == ["metrics", "warning"]


def test_later_each_tenth_step_is_a_point() -> None:
    ear, clock = Ear(), Clock()
    steps(curve(ear, clock), clock, range(101, 131), seconds=0.05)
    assert said(ear) == [101, 110, 120, 130]


def test_slow_steps_make_a_point_a_second() -> None:
    ear, clock = Ear(), Clock()
    steps(curve(ear, clock), clock, range(101, 106), seconds=1.5)
    assert said(ear) == [101, 102, 103, 104, 105]


def test_a_trace_says_nothing_and_keeps_the_losses() -> None:
    trace, clock = Trace(), Clock()
    drawn = Curve(trace, CPU, budget, lambda point: "nobody", clock)
    steps(drawn, clock, range(1, 4), seconds=0.01)
    assert trace.losses == [1, 2, 3]


def test_fast_steps_make_fifty_points_a_second() -> None:
    ear, clock = Ear(), Clock()
    steps(curve(ear, clock), clock, range(101, 10_101), seconds=0.0001)
    assert 45 <= len(said(ear)) <= 51


def test_a_point_is_the_mean_since_the_last_one() -> None:
    ear, clock = Ear(), Clock()
    steps(curve(ear, clock), clock, range(101, 111), seconds=0.01)
    assert ear.of("metrics")[-1]["values"]["loss"] == pytest.approx(106)  # of 102 to 110


def test_before_an_evaluation_the_last_step_is_a_point() -> None:
    ear, clock = Ear(), Clock()
    drawn = curve(ear, clock)
    steps(drawn, clock, range(101, 104), seconds=0.01)
    drawn.settle(one)
    drawn.settle(one)
    assert said(ear) == [101, 103]
    assert ear.of("metrics")[-1]["values"]["loss"] == 102.5  # of 102 and 103


def test_speed_leaves_out_the_time_of_an_evaluation() -> None:
    ear, clock = Ear(), Clock()
    drawn = curve(ear, clock)
    steps(drawn, clock, range(1, 3), seconds=0.5)
    drawn.settle(one)
    clock.now += 1000
    steps(drawn, clock, range(3, 5), seconds=0.5)
    speeds = [point["values"].get("speed") for point in ear.of("metrics")]
    assert speeds == [None, 20.0, 20.0, 20.0]


def test_progress_is_told_twice_a_second() -> None:
    ear, clock = Ear(), Clock()
    steps(curve(ear, clock), clock, range(1, 41), seconds=0.25)
    assert len(ear.of("progress")) == 20
    assert ear.of("progress")[-1]["steps"] == 1000


@pytest.mark.parametrize(
    ("loss", "norm", "what"),
    [
        (float("nan"), 1.0, "at step 7 the loss is nan: nobody"),
        (float("inf"), float("nan"), "at step 7 the loss is inf: nobody"),
        (1.0, float("inf"), "at step 7 the norm of the gradient is inf: nobody"),
    ],
)
def test_a_number_that_is_not_finite_ends_it(loss: float, norm: float, what: str) -> None:
    drawn = curve(Ear(), Clock())
    seen = torch.tensor([loss, 1.0])
    with pytest.raises(NumericsError) as caught:
        take(drawn, Point(7, 0, 0, 0, 0), seen, lambda: torch.tensor(norm))
    assert caught.value.message == what


@pytest.mark.gpu
def test_a_device_is_read_one_step_late() -> None:
    ear, clock = Ear(), Clock()
    drawn = Curve(ear.report, torch.device("cuda"), budget, lambda point: "nobody", clock)
    for step in (1, 2):
        loss = torch.tensor([float(step), 1.0], device="cuda")
        take(drawn, Point(step, 0, 0, 0, 0), loss, lambda: torch.tensor(1.0, device="cuda"))
        assert said(ear) == list(range(1, step))
    drawn.settle(one)
    assert said(ear) == [1, 2]


def test_the_norm_is_asked_for_once_a_second() -> None:
    asked: list[float] = []
    drawn = curve(Ear(), clock := Clock())

    def norm() -> torch.Tensor:
        asked.append(clock.now)
        return one()

    for step in range(101, 131):
        clock.now += 0.125
        take(drawn, Point(step, 0, 0, clock.now, 0), torch.ones(2), norm)
    assert asked == [0.125, 1.125, 2.125, 3.125]


def test_all_ranks_ask_for_the_norm_at_the_same_steps_whatever_their_own_clocks_say() -> None:
    asked: list[list[int]] = [[], []]
    for mine, pace in zip(asked, (0.01, 0.7), strict=True):
        drawn = curve(Ear(), clock := Clock())
        for step in range(101, 131):

            def norm(mine: list[int] = mine, step: int = step) -> torch.Tensor:
                mine.append(step)
                return one()

            clock.now += pace
            take(drawn, Point(step, 0, 0, 0.3 * step, 0), torch.ones(2), norm)
            if step == 115:
                drawn.settle(norm)
    assert asked[0] == asked[1]
    assert 115 in asked[0]


def test_a_gradient_that_is_not_finite_is_found_before_the_parameters_are_saved() -> None:
    drawn = curve(Ear(), Clock())
    steps(drawn, Clock(), range(101, 104), seconds=0.01)
    with pytest.raises(NumericsError, match="at step 103 the norm of the gradient is nan"):
        drawn.settle(lambda: torch.tensor(float("nan")))


def test_the_share_of_the_peak_is_told_where_it_is_known() -> None:
    for used, known in ((lambda speed: speed / 4000, True), (lambda speed: float("nan"), False)):
        ear, clock = Ear(), Clock()
        drawn = Curve(ear.report, CPU, budget, lambda point: "nobody", clock, used)
        steps(drawn, clock, range(1, 4), seconds=0.01)
        points = [point["values"] for point in ear.of("metrics")]
        assert [point.get("mfu") for point in points[1:]] == (
            [pytest.approx(0.25)] * 2 if known else [None] * 2
        )


def test_what_is_said_often_are_the_lines_that_json_would_make_of_it() -> None:
    sent: list[str] = []
    drawn = Curve(Report(sent.append, 3, 0), CPU, budget, lambda point: "nobody", clock=Clock())
    take(drawn, Point(7, 1 / 3, 70, 1e-7, rate=1e-5), torch.tensor([2e22, 3.0]).double(), one)
    told = [Event(**json.loads(line)) for text in sent for line in text.splitlines()]
    assert [event.kind for event in told] == ["metrics", "progress", "ledger"]
    assert "\n".join(sent) == "\n".join(map(to_json, told))
    loss = float(torch.tensor(2e22)) / 3
    assert told[0].data["values"] == {"loss": loss, "lr": 1e-5, "norm": 1.0}
