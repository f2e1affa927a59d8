"""How long it will take, as the command line tells it."""

import json
import os
import time
from collections.abc import Callable

import psutil
import pytest

from turnaround.cli.views.outlook import ahead, forecast, waits
from turnaround.cli.views.tail import latest
from turnaround.forecast.guess import Interval
from turnaround.journal import Journal
from turnaround.pool.places import Places, Record, write_record
from turnaround.spec import Event, Status

COST = {"start": 1.0, "stepping": 60.0, "looking": 6.0, "finish": 3.0, "steps": 3000}


@pytest.fixture
def before(trained: Callable, journal: Journal) -> None:
    """Three runs of 70 seconds."""
    for run in ("seq2seq-aaaaa", "seq2seq-bbbbb", "seq2seq-ccccc"):
        trained(run)
        journal.update(run, cost=COST)


@pytest.fixture
def pool(journal: Journal) -> None:
    """A pool of two CPUs that is up, as far as its record says."""
    me = psutil.Process()
    record = Record(os.getpid(), me.create_time(), 1, "0", "python", 2, 0, 60.0, time.time())
    write_record(Places(journal.root), record)


def test_runs_like_it_tell_how_long_a_run_takes(journal, submit, before) -> None:
    run = submit("seq2seq-ddddd")
    whole = forecast(journal, run).whole()
    assert whole is not None
    assert whole.middle == pytest.approx(70, rel=0.01)


def test_a_run_that_waits_says_when_it_starts_and_how_long_it_takes(
    journal, submit, before, pool, ask
) -> None:
    submit("seq2seq-ddddd", Status.RUNNING)
    running = Event("status", {"status": "RUNNING", "reason": ""}, time.time() - 30, 1)
    journal.append("seq2seq-ddddd", running)
    submit("seq2seq-eeeee")
    journal.update("seq2seq-ddddd", devices=2, started=time.time() - 30)
    journal.update("seq2seq-eeeee", submitted=time.time())
    wait = waits(journal, time.time())["seq2seq-eeeee"]
    assert wait.low < 40 < wait.high
    listed = ask("ls").out.splitlines()[1]
    assert "starts in " in listed
    assert "takes 1m10s (" in listed
    told = json.loads(ask("ls", "--json").out)[0]
    assert told["wait"]["middle"] == pytest.approx(wait.middle, abs=3)
    assert set(told["left"]) == {"low", "middle", "high"}


def test_without_a_pool_nobody_knows_when(journal, submit, before) -> None:
    submit("seq2seq-ddddd")
    assert waits(journal, time.time()) == {}


def test_a_run_under_way_tells_what_is_left(journal, submit, before, training, ask) -> None:
    submit("seq2seq-ddddd", Status.RUNNING)
    journal.append("seq2seq-ddddd", *training())
    assert " left (" in ask("show", "seq2seq-ddddd").out
    left = json.loads(ask("show", "seq2seq-ddddd", "--json").out)["left"]
    assert left["low"] < left["middle"] < left["high"]


def test_a_run_that_is_over_has_nothing_ahead(journal, before, ask) -> None:
    run = journal.run("seq2seq-aaaaa")
    assert ahead(latest(journal, run), time.time()) == ""
    told = json.loads(ask("show", run.id, "--json").out)
    assert (told["left"], told["wait"]) == (None, None)


def test_what_waits_is_told_in_one_line(journal, submit) -> None:
    progress = latest(journal, submit("seq2seq-ddddd"))
    assert ahead(progress, time.time()) == ""
    progress.wait = Interval(9.0, 20.0, 41.0)
    assert ahead(progress, time.time()) == "starts in 20s (9.0–41s)"
