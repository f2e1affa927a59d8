"""Decisions of the driver, with runs that answer at once."""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.sweeps import Night, asked, bowl
from turnaround.journal import Journal
from turnaround.spec import Plan, Status
from turnaround.sweep import process, report, start
from turnaround.sweep.drive import Driver
from turnaround.sweep.question import Mark, Question, Window, planned, read, save
from turnaround.sweep.window import LEAVE

LR = "optim.lr=tag(log,interval(0.001,1))"
DEAD = "999999999:1.0"  # a process that there is not


def test_a_grid_is_tried_once_and_its_best_wins(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.001,0.01,0.1", "seed=0,1"), own)
    driver = night.drive()
    assert len(night.hand.submitted) == 6
    assert len(driver.state.whole(0)) == 6
    best = driver.state.best(0)
    assert best is not None
    assert best.values["optim.lr"] == 0.1
    row = night.hand.journal.run(night.sweep)
    assert (row.status, row.exit_code, row.reason) == (Status.SUCCEEDED, 0, "")
    assert row.summary["values"]["valid/loss"] == best.score


def test_a_driver_that_is_killed_at_37_of_100_repeats_nothing(project: Path, own: Path) -> None:
    question = asked(project, own, LR, name="random", trials=100)
    night = Night.of(question, own)
    killed = night.drive(lambda driver: driver.state.told >= 37)
    finished = {t.number: t.score for t in killed.state.trials.values() if not t.open}
    again = night.drive()
    assert len(again.state.trials) == len(night.hand.submitted) == 100
    assert finished.items() <= {t.number: t.score for t in again.state.trials.values()}.items()
    once = Night.of(question, own, score=lambda plan, step: bowl(plan, step)).drive()
    assert [t.values for t in once.state.trials.values()] == [
        t.values for t in again.state.trials.values()
    ]


def test_a_crash_between_sending_and_writing_down_sends_none_twice(
    project: Path, own: Path
) -> None:
    night = Night.of(asked(project, own, LR, name="asha", trials=9), own)
    night.drive(lambda driver: driver.state.told >= 3)
    events = own / "runs" / night.sweep / "events.jsonl"
    lines = events.read_text().splitlines(keepends=True)
    last = max(i for i, line in enumerate(lines) if '"kind": "sent"' in line)
    events.write_text("".join(lines[:last]))
    night.drive()
    tags = Counter(
        (run.tags["trial"], run.tags["sweep"])
        for run in Journal(own).runs("tags LIKE '%\"trial\"%'")
    )
    assert set(tags.values()) == {1}


def test_what_was_answered_before_is_not_run_again(project: Path, own: Path) -> None:
    question = asked(project, own, "optim.lr=0.001,0.01,0.1")
    Night.of(question, own).drive()
    second = Night.of(question, own)
    driver = second.drive()
    assert second.hand.submitted == []
    assert all(sent.known for t in driver.state.trials.values() for sent in t.sent.values())


def test_a_trial_that_somebody_stopped_goes_on_when_it_is_tried_again(
    project: Path, own: Path
) -> None:
    night = Night.of(asked(project, own, "optim.lr=0.01,0.1"), own)
    night.driver().tick()
    stopped = night.hand.submitted[0]
    night.hand.stop(stopped, "by its user")
    (lost,) = [trial for trial in unaided(night).state.trials.values() if trial.failed]
    start.add(night.hand.journal, night.sweep, "again", number=lost.number, runs=[stopped])
    again = night.drive()
    assert len(again.state.whole(0)) == 2
    assert (night.hand.resumed, len(night.hand.submitted)) == ([stopped], 2)


def unaided(night: Night) -> Driver:
    """To the end, without picking up what was stopped."""
    driver = night.driver()
    while driver.tick() is None:
        night.hand.work(night.hand.now + 1.0)
    return driver


# ── runs of others ──


def overlapping(question: Question, own: Path) -> tuple[Night, Night]:
    """A sweep that has just sent its runs, and another that asks the same."""
    first, second = Night.of(question, own), Night.of(question, own)
    first.driver().tick()
    assert second.driver().tick() is None
    assert second.hand.submitted == []
    return first, second


def statuses(night: Night) -> set[Status]:
    return {night.hand.journal.run(run).status for run in night.hand.submitted}


def test_what_another_sweep_is_at_is_waited_for(project: Path, own: Path) -> None:
    first, second = overlapping(asked(project, own, "optim.lr=0.01,0.1"), own)
    first.drive()
    driver = second.drive()
    assert len(driver.state.whole(0)) == 2
    assert second.hand.submitted == []
    assert report.made(second.hand.journal, second.sweep).known == 2


def test_what_another_sweep_is_at_is_neither_stopped_nor_paid_for(project: Path, own: Path) -> None:
    question = replace(
        asked(project, own, "optim.lr=0.01,0.1", name="random"), window=Window(device_seconds=60.0)
    )
    first, second = overlapping(question, own)
    driver = second.driver()
    driver.tick()
    second.hand.now += 10.0
    assert driver.spent() == 0.0
    driver.halt("the window has ended")
    assert statuses(first) == {Status.RUNNING}


def test_what_another_sweep_gave_up_is_run_by_this_one(project: Path, own: Path) -> None:
    first, second = overlapping(asked(project, own, "optim.lr=0.01,0.1"), own)
    first.driver().halt("its sweep was stopped")
    driver = second.drive()
    assert len(driver.state.whole(0)) == len(second.hand.submitted) == 2
    assert second.hand.resumed == []
    assert statuses(first) == {Status.STOPPED}


@pytest.mark.parametrize("cluster", ["inline", "remote"])
def test_a_run_of_which_nobody_would_tell_is_not_waited_for(
    project: Path, own: Path, cluster: Literal["inline", "remote"]
) -> None:
    question = asked(project, own, "optim.lr=0.01,0.1")
    made = planned(question, {"optim.lr": 0.1}, Mark("sweep-other", 0))
    journal = Journal(own)
    journal.submit(replace(made, cluster=replace(made.cluster, name=cluster)), "steady-lost", DEAD)
    journal.mark("steady-lost", Status.RUNNING)
    night = Night.of(question, own)
    driver = night.drive()
    assert len(driver.state.whole(0)) == len(night.hand.submitted) == 2


def test_a_run_whose_process_is_killed_is_waited_for_no_longer(project: Path, own: Path) -> None:
    question = asked(project, own, "optim.lr=0.01,0.1")
    made = planned(question, {"optim.lr": 0.1}, Mark("sweep-other", 0))
    night = Night.of(question, own)
    journal, me = Journal(own), Journal(own).run(night.sweep).owner
    journal.submit(replace(made, cluster=replace(made.cluster, name="inline")), "steady-own", me)
    journal.mark("steady-own", Status.RUNNING)
    driver = night.drive(lambda driver: driver.state.told == 1)
    assert [sent.run for sent in driver.state.trials[1].sent.values()] == ["steady-own"]
    journal.update("steady-own", owner=DEAD)
    assert len(night.drive().state.whole(0)) == len(night.hand.submitted) == 2


def test_seeds_are_averaged(project: Path, own: Path) -> None:
    night = Night.of(
        asked(project, own, "optim.lr=0.1,0.01", seeds=3),
        own,
        score=lambda plan, step: plan.seed + bowl(plan, step),
    )
    driver = night.drive()
    best = driver.state.best(0)
    assert best is not None
    assert best.score is not None
    assert math.isclose(best.score, 1 + 1 / 90)
    assert best.result is not None
    assert len(best.result.scores) == 3


def test_a_score_that_is_not_finite_is_the_worst(project: Path, own: Path) -> None:
    def score(plan: Plan, step: int) -> float:
        return math.nan if plan.optim.lr > 0.05 else bowl(plan, step)

    driver = Night.of(asked(project, own, "optim.lr=0.001,0.01,0.1"), own, score).drive()
    best = driver.state.best(0)
    assert best is not None
    assert best.values["optim.lr"] == 0.01
    lost = driver.state.trials[2]
    assert lost.failed
    assert lost.result is not None
    assert lost.result.reason == "loss is nan"


def test_an_objective_that_is_never_reported_fails_the_sweep_and_is_named(
    project: Path, own: Path
) -> None:
    words = ("optim.lr=0.001,0.01,0.1", "evaluate.score=accuracy")
    night = Night.of(asked(project, own, *words), own)
    driver = night.driver()
    found = [driver.tick()]
    while found[-1] is None:
        night.hand.work(night.hand.now + 1)
        found.append(driver.tick())
    said = "it never reported accuracy on the valid split, or nothing finite"
    assert found[-1] == f"every trial failed alike: {said}"
    assert driver.state.best(0) is None


def test_when_every_trial_fails_alike_the_sweep_says_so_and_stops(project: Path, own: Path) -> None:
    def score(plan: Plan, step: int) -> float:
        raise ArithmeticError("a bug in the recipe")

    night = Night.of(asked(project, own, LR, name="random", trials=50), own, score)
    driver = night.driver()
    reasons = []
    for _ in range(20):
        if why := driver.tick():
            reasons.append(why)
            break
        night.hand.work(night.hand.now + 1)
    assert reasons == ["every trial failed alike: a bug in the recipe"]
    assert len(night.hand.submitted) < 15  # most of them still wait


def test_one_trial_that_fails_is_marked_and_the_others_go_on(project: Path, own: Path) -> None:
    def score(plan: Plan, step: int) -> float:
        if plan.optim.lr == 0.01:
            raise ArithmeticError("boom")
        return bowl(plan, step)

    driver = Night.of(asked(project, own, "optim.lr=0.001,0.01,0.1"), own, score).drive()
    assert [t.failed for t in driver.state.trials.values()] == [False, True, False]


# ── successive halving ──


def test_asha_promotes_the_best_third_and_goes_on_from_their_checkpoints(
    project: Path, own: Path
) -> None:
    night = Night.of(asked(project, own, LR, name="asha", trials=27, sampler="random"), own)
    driver = night.drive()
    assert driver.steps == [9, 27, None]
    reached = Counter(max(t.results) for t in driver.state.trials.values())
    assert reached[2] >= 1
    assert reached[0] >= 27 * 0.5
    assert len(night.hand.submitted) == 27
    assert len(night.hand.resumed) == reached[1] + 2 * reached[2]
    best = driver.state.best(2)
    assert best is not None
    assert 2 in best.results


def test_a_paused_trial_that_was_removed_begins_afresh_when_it_is_promoted(
    project: Path, own: Path
) -> None:
    question = asked(project, own, LR, name="asha", trials=9, sampler="random", concurrent=1)
    night = Night.of(question, own)
    driver = night.drive(lambda driver: driver.state.told == 2)
    best = next(driver.state.at(0))
    removed = best.sent[0].run
    night.hand.journal.forget(removed)
    again = night.drive().state.trials[best.number]
    assert again.rung > 0
    assert again.sent[0].run != removed
    assert {result.status for result in again.results.values()} == {Status.SUCCEEDED}


def test_a_failed_trial_is_never_promoted(project: Path, own: Path) -> None:
    def score(plan: Plan, step: int) -> float:
        if plan.optim.lr > 0.05:
            raise ArithmeticError(f"boom {plan.optim.lr}")
        return bowl(plan, step)

    driver = Night.of(asked(project, own, LR, name="asha", trials=18), own, score).drive()
    lost = [t for t in driver.state.trials.values() if t.failed]
    assert lost
    assert all(t.rung == 0 for t in lost)
    assert driver.state.whole(driver.top)


def test_hyperband_begins_on_every_rung_and_halves_each_bracket(project: Path, own: Path) -> None:
    night = asked(project, own, LR, name="hyperband", trials=26, sampler="random")
    driver = Night.of(night, own).drive()
    firsts = Counter(trial.first for trial in driver.state.trials.values())
    assert firsts[0] > firsts[1] > firsts[2] > 0
    for trial in driver.state.trials.values():
        assert min(trial.results) == trial.first
    for first in (0, 1):
        bracket = [t for t in driver.state.trials.values() if t.first == first]
        assert 1 <= sum(t.rung > first for t in bracket) <= len(bracket) // 2  # nobody waits
    assert len(driver.state.whole(2)) >= firsts[2]


# ── population-based training ──


def bred(project: Path, own: Path, score: Any = bowl) -> Night:
    return Night.of(asked(project, own, LR, name="pbt", trials=8, rungs=3), own, score)


def test_the_worst_quarter_makes_way_for_copies_of_the_best(project: Path, own: Path) -> None:
    night = bred(project, own)
    driver = night.drive()
    assert driver.steps == [27, 63, None]
    trials = driver.state.trials
    copies = [trial for trial in trials.values() if trial.parent is not None]
    assert len(copies) == 4
    assert len(driver.state.whole(2)) == 8
    for copy in copies:
        made = night.hand.journal.plan(copy.sent[0].run)
        parent = trials[copy.parent or 0]
        assert made.fork == f"{parent.sent[0].run}@{driver.steps[copy.first - 1]}"
        assert copy.values != parent.values
        rung = copy.first - 1
        peers = [t for t in trials.values() if rung in t.results]
        scores = sorted(driver.state.badness(t.results[rung].score) for t in peers)
        assert driver.state.badness(parent.results[rung].score) <= scores[1]


def reached(told: int, driver: Driver) -> bool:
    return driver.state.told >= told


def test_a_population_that_was_killed_goes_on_as_if_it_had_not_been(
    project: Path, own: Path
) -> None:
    once = bred(project, own).drive()
    night = bred(project, own, lambda plan, step: bowl(plan, step))
    for told in (3, 9, 12, 17):
        night.drive(partial(reached, told))
    again = night.drive()
    assert [(t.values, t.parent) for t in once.state.trials.values()] == [
        (t.values, t.parent) for t in again.state.trials.values()
    ]


def test_members_that_were_trained_before_are_copied_all_the_same(project: Path, own: Path) -> None:
    def forks(night: Night) -> list[str | None]:
        trials = night.drive().state.trials.values()
        copies = [trial for trial in trials if trial.parent is not None]
        return [night.hand.journal.plan(copy.sent[0].run).fork for copy in copies]

    before = forks(bred(project, own))
    for checkpoints in own.glob("runs/*/checkpoints"):  # a run keeps but the last
        shutil.rmtree(checkpoints)
    found = forks(bred(project, own))
    assert len(found) == len(before)
    assert all(found)


def test_a_member_that_failed_makes_way(project: Path, own: Path) -> None:
    def score(plan: Plan, step: int) -> float:
        if plan.optim.lr > 0.2:
            raise ArithmeticError(f"boom {plan.optim.lr}")
        return bowl(plan, step)

    driver = bred(project, own, score).drive()
    assert any(trial.failed for trial in driver.state.trials.values())
    assert driver.state.whole(2)


@pytest.mark.parametrize("ruin", [50.0, math.nan])
def test_a_member_that_was_best_and_diverged_is_not_copied(
    project: Path, own: Path, ruin: float
) -> None:
    def score(plan: Plan, step: int) -> float:
        if plan.optim.lr > 0.1:
            return -1.0 if step == 9 else ruin
        return bowl(plan, step)

    trials = bred(project, own, score).drive().state.trials
    wild = [trial for trial in trials.values() if trial.values["optim.lr"] > 0.1]
    assert any(0 in trial.results for trial in wild)
    assert not {trial.number for trial in wild} & {trial.parent for trial in trials.values()}


# ── trunks ──

TAILS = ["optim.schedule=wsd", "optim.decay=linear,cosine", "optim.floor=0.0,0.1", "optim.lr=0.1,1"]


def test_trials_that_differ_late_share_a_trunk_and_fork_from_it(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, *TAILS), own)
    driver = night.drive()
    trunks = driver.state.trunks.values()
    assert [(trunk.ready, trunk.step) for trunk in trunks] == [(True, 72)] * 2
    assert len(night.hand.submitted) == 2 + 8
    for trial in driver.state.trials.values():
        run = trial.sent[0].run
        made = night.hand.journal.plan(run)
        trunk = night.hand.journal.plan((made.fork or "").partition("@")[0])
        assert (made.fork or "").endswith("@72")
        assert (trunk.optim.lr, trunk.optim.schedule) == (made.optim.lr, "constant")
        assert trial.begin == 72
    lost = [trial for trial in driver.state.trials.values() if trial.failed]
    assert not lost


def test_a_driver_that_is_killed_at_its_trunks_repeats_nothing(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, *TAILS), own)
    night.drive(lambda driver: len(driver.state.trunks) == 2)
    night.drive(lambda driver: driver.state.told >= 3)
    night.drive()
    assert len(night.hand.submitted) == 2 + 8


def test_where_a_trunk_fails_its_trials_go_alone(project: Path, own: Path) -> None:
    def score(plan: Plan, step: int) -> float:
        if plan.until:
            raise ArithmeticError("boom")
        return bowl(plan, step)

    driver = Night.of(asked(project, own, *TAILS), own, score).drive()
    assert {trunk.ready for trunk in driver.state.trunks.values()} == {False}
    assert len(driver.state.whole(0)) == 8
    assert {trial.begin for trial in driver.state.trials.values()} == {0}


# ── windows ──


def window(project: Path, own: Path, seconds: float, **settings: Any) -> Night:
    night = Night.of(asked(project, own, LR, **settings), own)
    folder = own / "runs" / night.sweep
    end = Window(end=night.hand.now + seconds)
    save(replace(read(folder), window=end), folder)
    return night


def test_a_window_ends_with_a_trained_winner_and_is_not_overrun(project: Path, own: Path) -> None:
    night = window(project, own, LEAVE + 5.0, name="tpe")
    begin = night.hand.now
    driver = night.drive()
    assert night.hand.now <= begin + LEAVE + 5.0
    assert 6 <= len(driver.state.whole(0)) <= 11
    left = [sent.run for trial in driver.state.open() for sent in trial.sent.values()]
    assert {night.hand.journal.run(run).status for run in left} <= {Status.STOPPED}


def test_a_window_ends_when_all_whole_numbers_were_tried(project: Path, own: Path) -> None:
    question = asked(project, own, "data.batch=interval(1,3)", name="random")
    night = Night.of(question, own)
    end = night.hand.now + LEAVE + 60.0
    save(replace(question, window=Window(end=end)), own / "runs" / night.sweep)
    driver = night.drive()
    assert len(driver.state.whole(0)) == len(night.hand.submitted) == 3
    assert night.hand.now < end - LEAVE
    headline = report.made(night.hand.journal, night.sweep).headline
    assert headline == "3 of 3 trials trained"


def test_asha_in_a_window_gives_up_breadth_for_depth(project: Path, own: Path) -> None:
    night = window(project, own, LEAVE + 3.0, name="asha")
    begin = night.hand.now
    driver = night.drive()
    assert night.hand.now <= begin + LEAVE + 3.0
    assert driver.state.whole(driver.top)
    assert len(driver.state.trials) > 4


@pytest.mark.parametrize(("settings", "most"), [({}, 3), ({"concurrent": 2}, 1)])
def test_short_legs_have_others_waiting_behind_them(
    project: Path, own: Path, settings: dict[str, int], most: int
) -> None:
    night = window(project, own, LEAVE + 60.0, name="asha", trials=6, **settings)
    there: list[int] = []

    def look(driver: Driver) -> bool:
        there.append(len(night.hand.ends))
        return False

    night.drive(look)
    assert max(there) == most  # on two cores; one is over by the time of each look


def test_device_hours_are_not_overspent(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, LR, name="random"), own)
    folder = own / "runs" / night.sweep
    save(replace(read(folder), window=Window(device_seconds=5.0)), folder)
    driver = night.drive()
    assert driver.spent() <= 5.0
    assert 3 <= len(driver.state.whole(0)) <= 5


def test_what_earlier_sweeps_spent_is_not_paid_for_again(project: Path, own: Path) -> None:
    Night.of(asked(project, own, LR, name="random", trials=6), own).drive()
    question = asked(project, own, LR, name="random", trials=12)
    night = Night.of(replace(question, window=Window(device_seconds=5.0)), own)
    driver = night.drive()
    assert len(driver.state.trials) - len(night.hand.submitted) == 6
    assert 3 <= len(night.hand.submitted) <= 5
    assert driver.spent() == pytest.approx(0.9 * len(night.hand.submitted), rel=1e-3)


def test_a_driver_knows_when_there_is_nothing_new(project: Path, own: Path) -> None:
    night = Night.of(asked(project, own, LR, name="random", trials=2), own)
    driver = night.driver()
    assert driver.news()
    driver.tick()
    assert driver.news()  # it has sent runs, of which some may have answered before
    while driver.news():
        pass
    Journal(own).update(night.sweep, reason="another process")
    assert driver.news()
    assert not driver.news()


def test_a_driver_that_is_started_ahead_leaves_unless_its_sweep_is_named(own: Path) -> None:
    told, line = os.pipe()
    os.write(line, b"sweep-abc")  # whoever asked was killed
    os.close(line)
    assert process._named(own, told) is None
