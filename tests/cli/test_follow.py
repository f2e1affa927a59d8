import io
import threading
import time
from collections.abc import Callable

import pytest

from turnaround.cli.running import follow
from turnaround.cli.running.follow import Follower
from turnaround.cli.views.lines import Lines
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.tail import Tail
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run
from turnaround.spec import Status

RUN = "seq2seq-aaaaa"


class Pool:
    """A pool that stops a run as soon as it is asked."""

    def __init__(self, journal: Journal, up: bool = True) -> None:
        self.journal = journal
        self.up = up
        self.asked = 0

    def tend(self, run: Run, say: Callable[[str], None]) -> bool:
        return self.up

    def stop(self, run: Run) -> None:
        self.asked += 1
        self.journal.mark(run.id, Status.STOPPED, "stopped with Ctrl-C", attempt=1, exit_code=75)


class Impatient(Lines):
    """A person who presses Ctrl-C at some of the beats."""

    presses: list[bool]

    def beat(self) -> None:
        if self.presses and self.presses.pop(0):
            raise KeyboardInterrupt


@pytest.fixture
def watch(journal: Journal) -> Callable[..., tuple[Follower, Pool, io.StringIO]]:
    """A follower of the run, its pool, and what was said."""

    def make(*presses: bool, up: bool = True) -> tuple[Follower, Pool, io.StringIO]:
        out = io.StringIO()
        view = Impatient(RUN, Progress(), out)
        view.presses = list(presses)
        pool = Pool(journal, up)
        events = Tail(journal.folder(RUN) / "events.jsonl")
        return Follower(journal, journal.run(RUN), view, pool, events), pool, out

    return make


def answers(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_it_ends_with_the_run_and_misses_no_event(watch, submit, journal, training) -> None:
    submit(RUN)
    follower, _, out = watch()

    def carry_out() -> None:
        journal.mark(RUN, Status.RUNNING, attempt=1)
        for one in training():
            journal.append(RUN, one)
            time.sleep(0.02)
        journal.mark(RUN, Status.SUCCEEDED, attempt=1, exit_code=0)

    worker = threading.Thread(target=carry_out)
    worker.start()
    assert follower.attend(asks=False, stops=True) is None
    worker.join()
    assert follower.exit_code == 0
    assert out.getvalue() == (
        f"{RUN} QUEUED\n{RUN} RUNNING\n"
        "step 1,500/3,000  valid loss 0.6412  bleu 71.31\n"
        f"{RUN} SUCCEEDED\n"
    )


def test_a_reason_to_wait_is_told_when_it_changes(watch, submit, journal, monkeypatch) -> None:
    monkeypatch.setattr(follow, "LOOK", 0.0)
    submit(RUN)
    follower, pool, out = watch()
    reasons = iter(["waits for 1 CPU", "waits for 1 CPU", "waits its turn", ""])

    def tend(run: Run, say: Callable[[str], None]) -> bool:
        if (reason := next(reasons)) == "":
            journal.mark(RUN, Status.SUCCEEDED, exit_code=0)
        else:
            journal.update(RUN, reason=reason)
        return True

    pool.tend = tend
    follower.attend(asks=False, stops=True)
    assert out.getvalue() == (
        f"{RUN} QUEUED\n{RUN} QUEUED: waits for 1 CPU\n"
        f"{RUN} QUEUED: waits its turn\n{RUN} SUCCEEDED\n"
    )


def test_ctrl_c_without_a_terminal_saves_and_stops(watch, submit) -> None:
    submit(RUN, Status.RUNNING)
    follower, pool, out = watch(True)
    assert follower.attend(asks=False, stops=True) is None
    assert (follower.exit_code, pool.asked) == (130, 1)
    assert f"saving and stopping {RUN}; Ctrl-C again does not wait for it\n" in out.getvalue()


def test_ctrl_c_again_leaves_at_once(watch, submit) -> None:
    submit(RUN, Status.RUNNING)
    follower, pool, out = watch(True, True)
    pool.stop = lambda run: None
    assert follower.attend(asks=False, stops=True) == 130
    assert out.getvalue().endswith(f"leaving; {RUN} saves and stops by itself\n")


@pytest.mark.parametrize(
    ("typed", "code", "asked"), [("d\n", 0, 0), ("s\n", None, 1), ("", 0, 0), ("Save\n", None, 1)]
)
def test_ctrl_c_on_a_terminal_asks(watch, submit, monkeypatch, typed, code, asked) -> None:
    submit(RUN, Status.RUNNING)
    answers(monkeypatch, typed)
    follower, pool, _ = watch(True)
    assert follower.attend(asks=True, stops=True) == code
    assert pool.asked == asked


def test_enter_goes_on_watching(watch, submit, journal, monkeypatch) -> None:
    submit(RUN, Status.RUNNING)
    answers(monkeypatch, "\n")
    follower, pool, _ = watch(True)
    threading.Timer(0.3, journal.mark, (RUN, Status.SUCCEEDED), {"exit_code": 0}).start()
    assert follower.attend(asks=True, stops=True) is None
    assert (follower.exit_code, pool.asked) == (0, 0)


def test_whoever_only_watches_stops_nothing(watch, submit) -> None:
    submit(RUN, Status.RUNNING)
    follower, pool, out = watch(True)
    assert follower.attend(asks=False, stops=False) == 130
    assert pool.asked == 0
    assert out.getvalue().endswith(
        f"{RUN} goes on: turnaround watch {RUN}, turnaround stop {RUN}\n"
    )


def test_ctrl_c_before_the_first_picture_counts(watch, submit) -> None:
    submit(RUN)
    follower, pool, _ = watch()
    assert follower.attend(asks=False, stops=True, interrupted=True) is None
    assert (follower.exit_code, pool.asked) == (130, 1)


def test_stopping_what_has_ended_meanwhile_is_no_error(watch, submit, journal) -> None:
    submit(RUN, Status.RUNNING)
    follower, pool, _ = watch(True)

    def stop(run: Run) -> None:
        journal.mark(RUN, Status.SUCCEEDED, attempt=1, exit_code=0)
        raise JournalError("it is over already")

    pool.stop = stop
    assert follower.attend(asks=False, stops=True) is None
    assert follower.exit_code == 0


def test_a_run_stopped_by_somebody_else_is_75(watch, submit) -> None:
    submit(RUN, Status.STOPPED, exit_code=75)
    follower, _, _ = watch()
    assert follower.attend(asks=False, stops=True) is None
    assert follower.exit_code == 75


def test_a_pool_that_was_taken_down_leaves_us(watch, submit) -> None:
    submit(RUN)
    follower, _, _ = watch(up=False)
    assert follower.attend(asks=False, stops=True) == 75


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_a_failed_run_gives_its_own_code(watch, submit, code) -> None:
    submit(RUN, Status.FAILED, exit_code=code)
    assert watch()[0].exit_code == code
