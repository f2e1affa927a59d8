"""A run's curves, one figure per name: the loss, and each score that an evaluation found."""

from __future__ import annotations

from collections.abc import Iterable

from matplotlib.figure import Figure

from turnaround.ledger import Account
from turnaround.spec import Event

Curve = dict[int, float]  # step → value
Splits = dict[str, Curve]


def curves(events: Iterable[Event]) -> dict[str, Splits]:
    """name → split → curve. A step that was repeated after a failure counts once, its last time."""
    found: dict[str, Splits] = {}
    for event in events:
        if event.kind == "metrics":
            for name, value in event.data["values"].items():
                splits = found.setdefault(name, {})
                splits.setdefault(event.data["split"], {})[event.data["step"]] = value
    return {
        name: splits
        for name, splits in found.items()
        if name == "loss" or splits.keys() - {"train"}
    }


def bars(account: Account) -> Figure:
    """Where the time went: one bar for each row that took any."""
    spent = [(row, seconds) for row, seconds in account.rows.items() if seconds > 0]
    figure = Figure(figsize=(7, 0.5 + 0.25 * len(spent)), dpi=120, layout="constrained")
    axes = figure.subplots()
    rows, seconds = zip(*spent, strict=True) if spent else ((), ())
    axes.barh(rows, seconds)
    axes.invert_yaxis()
    axes.set_xlabel(f"seconds of {account.total:.1f}")
    axes.grid(axis="x", alpha=0.3)
    return figure


def plot(name: str, splits: Splits) -> Figure:
    """The curves of one name in one figure."""
    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for split, curve in splits.items():
        steps, values = zip(*sorted(curve.items()), strict=True)
        axes.plot(steps, values, "-" if len(steps) > 30 else ".-", label=split)
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
