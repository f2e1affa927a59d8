"""The last words about a run: its scores, what it can do, where it is, and what to type next."""

from __future__ import annotations

import time

from turnaround.cli.views import units
from turnaround.cli.views.outlook import ahead
from turnaround.cli.views.progress import Progress
from turnaround.cli.views.table import plain
from turnaround.errors import JournalError
from turnaround.journal import Journal, Run
from turnaround.spec import Status
from turnaround.tracking.start import lag

SAMPLES = 4  # shown; the others are in MLflow
LOG_LINES = 12  # of a run that failed without a word
MENDED = (1, 2, 4)  # exit codes of what is not to go on as it is: the recipe, the words, numbers


def closing(journal: Journal, run: Run, progress: Progress) -> str:
    """What to print when a run is over."""
    parts = [_headline(run, progress), _scores(progress), _samples(progress), _next(journal, run)]
    if run.status is Status.FAILED:
        parts[1:3] = [_failure(journal, run, progress)]
    return "\n\n".join(part for part in parts if part)


def _headline(run: Run, progress: Progress) -> str:
    after = ""
    if run.started and run.ended:  # between attempts it may have waited for a day
        ran = progress.ran if run.attempt > 1 and progress.ran else run.ended - run.started
        after = f" after {units.duration(ran)}"
    facts = [f"step {progress.step:,}"] if progress.step else []
    if progress.examples:
        facts.append(f"{progress.examples:,} examples")
    if left := ahead(progress, time.time()):
        facts.append(left)
    if why := _why(run, progress):
        facts.append(why)
    return f"{run.id} {run.status}{after}" + (f": {', '.join(facts)}" if facts else "")


def _why(run: Run, progress: Progress) -> str:
    """What ended it, unless it is said below."""
    if run.status is Status.FAILED and progress.error is not None:
        return ""
    if run.reason or "stopped" not in progress.summary:
        return plain(run.reason)
    return f"ended by {progress.summary['stopped']}"


def _scores(progress: Progress) -> str:
    """One line for each split."""
    splits: dict[str, dict[str, float]] = {}
    for name, value in progress.values.items():
        split, _, score = name.rpartition("/")
        splits.setdefault(split or "all", {})[score] = value
    width = max(map(len, splits), default=0)
    return "\n".join(
        f"  {split:<{width}}  {units.scores(values)}" for split, values in splits.items()
    )


def _samples(progress: Progress) -> str:
    """The first rows, each as a few lines."""
    columns = progress.samples.get("columns", [])
    width = max(map(len, columns), default=0)
    return "\n\n".join(
        "\n".join(
            f"  {name:<{width}}  {plain(str(cell))}"
            for name, cell in zip(columns, row, strict=False)
        )
        for row in progress.samples.get("rows", [])[:SAMPLES]
    )


def _failure(journal: Journal, run: Run, progress: Progress) -> str:
    """The error as the worker saw it, or else the end of the log."""
    if progress.error is None:
        log = journal.folder(run.id) / "log.txt"
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else []
        return "\n".join(f"  {line}" for line in lines)
    data = progress.error.data
    told = (data.get("traceback") or "").rstrip()
    if not told.endswith(data["message"]):
        told = f"{told}\n\n{data['message']}".lstrip()
    return f"{told}\n  → {data['hint']}" if data.get("hint") else told


def _answers(journal: Journal, run: Run) -> bool:
    """Its recipe says what the model makes of a line; one that cannot be read may."""
    try:
        place = journal.plan(run.id).place
        file = journal.root / "snapshots" / str(place.snapshot) / "tree" / place.recipe_file
        return "def answer(" in file.read_text(errors="replace")
    except (JournalError, OSError):
        return True


def _next(journal: Journal, run: Run) -> str:
    """Where it is, and what can be done with it."""
    steps = [("files", units.short(journal.folder(run.id)))]
    if run.status is Status.SUCCEEDED:
        steps += [("use it", f"turnaround try {run.id}")] * _answers(journal, run)
    elif run.status is Status.FAILED and run.exit_code in MENDED:
        steps += [("log", f"turnaround logs {run.id}"), ("why", f"turnaround why {run.id}")]
    elif run.status.over:
        steps += [("log", f"turnaround logs {run.id}"), ("go on", f"turnaround resume {run.id}")]
    else:
        steps += [("watch", f"turnaround watch {run.id}"), ("stop", f"turnaround stop {run.id}")]
    if run.tracking:
        late = lag(journal.root, run.tracking)
        waits = f" ({late.behind:,} events wait for MLflow: {late.error})" if late else ""
        steps.append(("pages", f"turnaround ui{waits}"))
    return "\n".join(f"  {name:<6}  {what}" for name, what in steps)
