"""`turnaround compare`: what differs between runs, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from turnaround.cli.views import units
from turnaround.cli.views.record import strict_json
from turnaround.cli.views.table import table
from turnaround.cli.words import arguments
from turnaround.errors import ConfigError
from turnaround.journal import Journal, home
from turnaround.sweep import start
from turnaround.sweep.compare import (
    Side,
    Spread,
    Verdict,
    differences,
    over,
    rises,
    side,
    spread,
    verdict,
)
from turnaround.sweep.report import made

BEST = 5  # trials that stand for a sweep
FEW = 3  # sides that fit beside each other


def compare(
    runs: arguments.SomeRuns,
    alone: Annotated[
        bool, typer.Option("--alone", help="These runs, without the same ones of other seeds.")
    ] = False,
    as_json: arguments.AsJson = False,
) -> None:
    """Show what differs between runs: settings, code, data, environment, scores.

    Runs that differ in nothing but the seed count as one, with an interval: what the journal has
    of them is found. A sweep stands for its best trials. Intervals hold the mean 19 times in 20.
    What is better is said of scores whose names tell, or evaluate.better.

    \b
    turnaround compare seq2seq-k3x9e seq2seq-7mw2p
    turnaround compare sweep-x7k2m --json
    """
    journal = Journal(home())
    sides = list(_sides(journal, runs, not alone))
    if len(sides) < 2:
        message = f"{' '.join(runs)} is {len(sides)} thing to compare"
        raise ConfigError(message, "name two runs that differ in more than their seed")
    told = differences(journal, sides)
    scores = _scores(sides)
    if as_json:
        typer.echo(strict_json(_record(sides, told, scores), indent=1))
        return
    names = [_title(one) for one in sides]
    typer.echo(_differing(told, names) or "nothing differs in settings, code, data or environment")
    typer.echo()
    rows = [row for score in scores for row in _rows(sides, score)]
    typer.echo(table(("score", "run", "mean", "less the first", "better than it"), rows))
    if all(len(one.runs) < 2 for one in sides):
        typer.echo("\none seed each: no interval. sweep.seeds=3 gives one")
    elif unknown := [score for score in scores if rises(sides[0], score) is None]:
        typer.echo(f"\nwhether more is better is not known of {', '.join(unknown)}")


def _differing(told: dict[str, list[str]], names: list[str]) -> str:
    """Runs beside each other, or below each other where there are many."""
    if not told:
        return ""
    if len(names) <= FEW:
        return table(("differs", *names), [[key, *texts] for key, texts in told.items()])
    return table(("run", *told), [list(row) for row in zip(names, *told.values(), strict=True)])


def _sides(journal: Journal, asked: Sequence[str], siblings: bool) -> Iterator[Side]:
    """What was named, each question once."""
    seen: set[str] = set()
    for word in asked:
        run = arguments.found(journal, word)
        known = [run.id]
        if start.is_sweep(journal, run):
            all_of_them = list(_trials(journal, run.id))
            known = all_of_them[:BEST]
            if known != all_of_them:
                told = f"{run.id}: the best {BEST} of {len(all_of_them)} trials; name others by id"
                typer.echo(told, err=True)
        for each in known:
            if each not in seen:
                one = side(journal, journal.run(each), siblings)
                seen |= {run.id for run in one.runs.values()}
                yield one


def _trials(journal: Journal, sweep: str) -> Iterator[str]:
    """A run of each trial that was trained, as far as they are there; the best first."""
    for line in made(journal, sweep).lines:
        if line.test:
            yield next(run for run in line.runs if journal.runs("id=?", [run]))


def _scores(sides: Sequence[Side]) -> list[str]:
    """Test before valid."""
    names = dict.fromkeys(name for one in sides for name in one.values)
    return sorted(names, key=lambda name: (not name.startswith("test/"), name))


def _title(one: Side) -> str:
    named = next(run for run in one.runs.values())
    seeds = f" ({len(one.runs)} seeds)" if len(one.runs) > 1 else ""
    late = "" if over(named) else f" ({named.status})"
    name = one.name.rpartition(" seed=")[0] or one.name if seeds else one.name
    return f"{name}{seeds}{late}"


def _rows(sides: Sequence[Side], score: str) -> Iterator[list[str]]:
    """One for each side that has the score; all but the first are held against it."""
    first = sides[0]
    for one in sides:
        if values := one.values.get(score):
            found = None if one is first else verdict(first, one, score, rises(first, score))
            cells = [_title(one), _spread(spread([*values.values()]))]
            yield [score, *cells, _difference(found), _better(found)]


def _spread(found: Spread) -> str:
    half = "" if found.half is None else f" ± {units.number(found.half)}"
    return f"{units.number(found.mean)}{half}"


def _difference(found: Verdict | None) -> str:
    if found is None:
        return ""
    sign = "+" if found.difference.mean >= 0 else ""
    return f"{sign}{_spread(found.difference)}{', paired' * found.paired}"


def _better(found: Verdict | None) -> str:
    """`0.92 (0.67–1)`: how probable it is that the other is better."""
    if found is None or found.better is None:
        return ""
    return f"{found.better:.2f} ({found.low:.2f}–{found.high:.2f})"


def _record(
    sides: Sequence[Side], told: dict[str, list[str]], scores: list[str]
) -> dict[str, object]:
    first, *others = sides
    return {
        "sides": [
            {"name": one.name, "runs": [run.id for run in one.runs.values()]} for one in sides
        ],
        "differences": told,
        "scores": {
            score: {
                "means": [
                    asdict(spread([*one.values[score].values()])) if one.values.get(score) else None
                    for one in sides
                ],
                "verdicts": [
                    asdict(found) if found else None
                    for found in (verdict(first, o, score, rises(first, score)) for o in others)
                ],
            }
            for score in scores
        },
    }
