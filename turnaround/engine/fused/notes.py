"""What the gate measured, kept for the next trials of that shape: smaller groups, other sweeps.

    notes = Notes(cache / "gate-3f2a.json")
    paces = notes.paces(single=2.1e-4)      # members → seconds of a step of a group
    known(paces, 12)                        # of a size that was not measured; none: beyond them
    notes.write(2.1e-4, {4: 1.1e-3, 16: 1.2e-3})

A pace stands in steps of solo ones. Where those take another time now, nothing is known.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

OTHER = 2.0  # times as long, or as short: it is another machine, or a loaded one, or another model


@dataclass(frozen=True)
class Notes:
    """A file; one that cannot be read says nothing, and one that cannot be written is measured
    anew the next time."""

    file: Path

    def paces(self, single: float) -> dict[int, float]:
        """Members → seconds of a step of a group, where a solo step takes `single` seconds."""
        then, steps = self._read()
        if not then / OTHER <= single <= then * OTHER:
            return {}
        return {size: single * pace for size, pace in steps.items()}

    def write(self, single: float, paces: dict[int, float]) -> None:
        """Keep them, with those of other sizes."""
        then, steps = self._read()
        if not then / OTHER <= single <= then * OTHER:
            steps = {}
        steps |= {size: seconds / single for size, seconds in paces.items()}
        own = self.file.with_suffix(f".{os.getpid()}")  # two that write at once do not mix
        with contextlib.suppress(OSError):
            own.write_text(json.dumps({"single": single, "steps": sorted(steps.items())}))
            own.replace(self.file)

    def _read(self) -> tuple[float, dict[int, float]]:
        """Seconds of a solo step, and how many of those a step of each size takes."""
        try:
            told = json.loads(self.file.read_text())
            steps = {int(size): float(pace) for size, pace in told["steps"]}
            return float(told["single"]), steps
        except (OSError, ValueError, TypeError, KeyError):
            return 0.0, {}


def known(paces: dict[int, float], size: int) -> float | None:
    """On the line between the sizes around it; none when one of the two is missing."""
    above = min((each for each in paces if each >= size), default=None)
    below = max((each for each in paces if each <= size), default=None)
    if above is None or below is None:
        return None
    share = (size - below) / (above - below) if above > below else 0.0
    return paces[below] + share * (paces[above] - paces[below])
