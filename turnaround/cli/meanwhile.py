"""What is being done while somebody at a terminal waits: a line that goes away by itself."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext


def meanwhile(what: str) -> AbstractContextManager[object]:
    """`what` on standard error for as long as this lasts; nothing where nobody looks."""
    if not sys.stderr.isatty():
        return nullcontext()
    from rich.console import Console  # 60 ms, of several seconds

    return Console(stderr=True).status(f"{what} …")
