"""The agent: a Ray actor on every node, through which the scheduler reaches that node's daemon."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from turnaround.errors import LaunchError
from turnaround.pool import wire
from turnaround.pool.places import Places


class Agent:
    """Passes requests on. It holds no state, so Ray may restart it at any time."""

    def __init__(self, home: str) -> None:
        self._node = Places(Path(home)).node

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The node daemon's reply."""
        try:
            return wire.ask(self._node, request, timeout=60)
        except OSError as error:
            raise LaunchError(
                f"the node daemon does not answer: {error}", "turnaround up"
            ) from error
