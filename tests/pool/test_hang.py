"""Who hangs, told from silence and stacks."""

from __future__ import annotations

from turnaround.pool.node.hang import FLOOR, PATIENT, Silence, Stack, cause, told

LOOP = "/x/turnaround/engine/loop.py"
FIT = f'  File "{LOOP}", line 76 in fit\n'
LEARN = f'  File "{LOOP}", line 108 in learn\n{FIT}'
WAITS = f'  File "/x/torch/autograd/graph.py", line 9 in _engine_run_backward\n{LEARN}'
SLEEPS = f'  File "/home/me/recipes/mine.py", line 35 in inputs\n{LEARN}'
LOOKS = (
    f'  File "/home/me/recipes/mine.py", line 40 in score\n  File "{LOOP}", line 9 in look\n{FIT}'
)


def stack(text: str, state: str = "sleeping", cpu: float = 0.0) -> Stack:
    other = 'Thread 0x1 (most recent call first):\n  File "/x/queue.py", line 1 in get\n\n'
    return told(f"{other}Current thread 0x2 (most recent call first):\n{text}", state, cpu)


def progress(step: int) -> bytes:
    return f'{{"kind": "progress", "data": {{"step": {step}}}}}'.encode()


def test_the_one_that_does_not_wait_is_named_with_its_line() -> None:
    found = cause({0: stack(WAITS), 1: stack(SLEEPS)}, 23, 41.0)
    said = "nothing was heard for 41 s after step 23"
    assert found == f"rank 1 hangs: {said}, and it is at mine.py:35 (inputs)"


def test_one_that_does_not_answer_is_named_first() -> None:
    found = cause({0: stack(SLEEPS), 1: told("", "stopped", 0.0)}, 23, 41.0)
    assert found is not None
    assert found.startswith("rank 1 hangs: ")
    assert found.endswith("its process is stopped")


def test_all_may_wait_for_each_other() -> None:
    found = cause({0: stack(WAITS), 1: stack(WAITS)}, 23, 41.0)
    assert found is not None
    assert found.startswith("all ranks wait for each other")


def test_an_evaluation_may_take_its_time_but_not_for_ever() -> None:
    ranks = {0: stack(LOOKS), 1: stack(WAITS)}
    assert cause(ranks, 23, 41.0) is None
    assert cause(ranks, 23, PATIENT + 1) is not None


def test_a_rank_that_computes_does_not_hang() -> None:
    assert cause({0: stack(SLEEPS, "running", cpu=0.9)}, 23, 41.0) is None


def test_ranks_that_have_ended_say_nothing() -> None:
    assert cause({0: told("", "zombie", 0.0)}, 23, 41.0) is None


def test_silence_is_measured_by_the_longest_step() -> None:
    silence = Silence(0.0)
    silence.hear(b'{"kind": "worker"}', 1.0)
    assert not silence.long(PATIENT)  # before the first step nobody knows how long one takes
    silence.hear(progress(1), 21.0)
    silence.hear(progress(2), 22.0)
    assert silence.step == 2
    assert not silence.long(22.0 + FLOOR + 1)
    assert silence.long(22.0 + 3 * 20 + 1)
