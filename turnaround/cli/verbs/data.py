"""`turnaround data`: look at a data source as a run would read it."""

from __future__ import annotations

import pkgutil
from dataclasses import asdict
from typing import Annotated, Any

import typer

from turnaround.cli.meanwhile import meanwhile
from turnaround.cli.views import units
from turnaround.cli.views.record import strict_json
from turnaround.cli.views.table import plain, table
from turnaround.cli.words import arguments
from turnaround.cli.words.planning import planned
from turnaround.journal import home

SURVEY = "turnaround.engine.survey:survey"  # by its name: the command line does without torch
SOME = 1000  # examples of each split; the corpus of seq2seq takes 0.2 s


def data(
    overrides: arguments.Words = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"Look at every example, not {SOME:,} of each split.")
    ] = False,
    as_json: arguments.AsJson = False,
) -> None:
    """Prepare a recipe's data, count and measure it, and say what is wrong with it.

    What a recipe keeps (a vocabulary, tokens) is made here as well, so that no run waits for it.

    \b
    turnaround data recipe=seq2seq data.path=pairs.tsv
    turnaround data recipe=lm data.path=book.txt recipe.tokens=bpe
    turnaround data recipe=image data.path=photos --all
    """
    plan, file = planned(["budget.steps=1", *(overrides or [])], None, {})  # none will be done
    cache = home() / "cache" / plan.recipe.name
    cache.mkdir(parents=True, exist_ok=True)
    with meanwhile("reading the data"):
        survey = pkgutil.resolve_name(SURVEY)
        found = list(survey(plan, file, cache, 2**40 if every else SOME))
    if as_json:
        typer.echo(strict_json([asdict(split) for split in found], indent=1))
        return
    # A recipe's length is what its batches are sorted by, which need not be a number of tokens.
    columns = ("split", "examples", "sorted by", "ready in", "an example")
    typer.echo(table(columns, [_row(split) for split in found]))
    for title, text in (("example", found[0].example), ("batch", found[0].batch)):
        typer.echo(f"{title:<8} {plain(text)}")


def _row(found: Any) -> tuple[str, ...]:
    least, median, most = found.lengths
    return (
        found.split,
        "without end" if found.count is None else f"{found.count:,}",
        f"{least} · {median:g} · {most}",
        units.duration(found.seconds),
        f"{found.each * 1e6:,.0f} µs",
    )
