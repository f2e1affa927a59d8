"""Whether a gang hangs, which rank the others wait for, and where that one is.

    watch = Silence(begin=time.monotonic())
    watch.hear(line, now)               # each line of rank 0
    watch.long(now)                     # nothing for longer than a step can be expected to take
    found = cause({0: Stack(frames), 1: Stack([], "stopped")}, step=23)
    found                               # "rank 1 hangs after step 23: its process is stopped (…)"

In a collective all ranks wait for the last to come, so silence tells that one hangs, not which. The
stacks of all do: faulthandler writes them on a signal, in C, whatever the process is at. One that
computes does not hang.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

FLOOR = 40.0  # seconds of silence that are no hang, however short the steps
TIMES = 3.0  # as long as the longest step, with what comes before the first
PATIENT = 900.0  # seconds an evaluation, a checkpoint or a compilation may be silent
COMPUTING = 0.2  # of a core, above which a rank is at work: it has as long
_STEP = (b'"kind": "progress"', b'"split": "train"')
_FRAME = re.compile(r'File "(?P<file>[^"]*)", line (?P<line>\d+) in (?P<name>.+)')
_WAITING = ("torch/distributed/", "torch/autograd/graph.py", "engine/world.py", "engine/service/")
_OVER = ("gone", "zombie", "dead")
_ASIDE = ("look", "save", "keep", "rehearse", "evaluate", "finish", "conclude", "restore")


@dataclass(frozen=True)
class Frame:
    """One line of a stack."""

    file: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{PurePath(self.file).name}:{self.line} ({self.name})"


@dataclass(frozen=True)
class Stack:
    """Where the main thread of a rank is; no frames: it did not answer."""

    frames: Sequence[Frame]  # innermost first
    state: str = ""  # of the process, as the system has it
    text: str = ""  # of every thread
    cpu: float = 0.0  # cores that it used meanwhile

    @property
    def waits(self) -> bool:
        """For other ranks."""
        return any(part in frame.file for frame in self.frames[:4] for part in _WAITING)

    @property
    def aside(self) -> bool:
        """At something that takes as long as it takes."""
        loop = [frame for frame in self.frames if frame.file.endswith("engine/loop.py")]
        training = any(frame.name == "fit" for frame in loop)
        return bool(self.frames) and (not training or any(frame.name in _ASIDE for frame in loop))


def told(text: str, state: str, cpu: float) -> Stack:
    """What a rank has written; its main thread is the last that faulthandler writes."""
    last = re.split(r"^(?:Current thread|Thread) ", text, flags=re.MULTILINE)[-1]
    found = _FRAME.finditer(last)
    frames = [Frame(each["file"], int(each["line"]), each["name"].split()[0]) for each in found]
    return Stack(frames, state, text, cpu)


def cause(stacks: Mapping[int, Stack], step: int, silent: float) -> str | None:
    """Who hangs, after which step and where; none: it is only taking its time."""
    stacks = {rank: stack for rank, stack in stacks.items() if stack.state not in _OVER}
    aside = any(stack.aside for stack in stacks.values())
    if not stacks or (aside and silent < PATIENT):
        return None
    if silent < PATIENT and any(s.cpu > COMPUTING for s in stacks.values() if not s.waits):
        return None
    mute = [rank for rank, stack in stacks.items() if not stack.frames]
    busy = [rank for rank, stack in stacks.items() if stack.frames and not stack.waits]
    begin = f"nothing was heard for {silent:.0f} s after step {step}"
    if mute:
        state = stacks[mute[0]].state or "it does not answer"
        return f"rank {mute[0]} hangs: {begin}, and its process is {state}"
    if busy:
        return f"rank {busy[0]} hangs: {begin}, and it is at {_place(stacks[busy[0]])}"
    where = "; ".join(f"rank {rank} at {_place(stack)}" for rank, stack in stacks.items())
    return f"all ranks wait for each other: {begin}, {where}"


def _place(stack: Stack) -> str:
    """The innermost frame, and the one of the user's that led there."""
    inner = stack.frames[0]
    known = ("site-packages/", "/torch/", "lib/python", "turnaround/engine/", "<frozen")
    mine = next((f for f in stack.frames if not any(part in f.file for part in known)), inner)
    return str(inner) if mine is inner else f"{mine}, in {inner.name}"


class Silence:
    """How long nothing was heard of a gang's steps, and how long that may be."""

    def __init__(self, now: float) -> None:
        self.step = 0
        self._last = now
        self._longest = 0.0
        self._began = False

    def hear(self, line: bytes, now: float) -> None:
        """A line of the run's events."""
        if any(mark in line for mark in _STEP):
            self._longest = max(self._longest, now - self._last)
            self._began = True
            if found := re.search(rb'"step": (\d+)', line):
                self.step = max(self.step, int(found[1]))
        self._last = now

    def since(self, now: float) -> float:
        """Seconds."""
        return now - self._last

    def long(self, now: float) -> bool:
        """Longer than a step may take; before the first there is no telling."""
        most = max(FLOOR, TIMES * self._longest) if self._began else PATIENT
        return self.since(now) > most
