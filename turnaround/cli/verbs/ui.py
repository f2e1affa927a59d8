"""`turnaround ui`: MLflow's pages of this project's runs."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from turnaround.cli.views import units
from turnaround.errors import JournalError, LaunchError
from turnaround.journal import Journal, Run, home
from turnaround.tracking import start
from turnaround.tracking.ui import Server, free_port, serve

SLOWEST = 180.0  # seconds until it must answer; 6 to 10 s on two cores that are free


def ui(
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="Default: 5000 if it is free."),
    ] = None,
) -> None:
    """Open the MLflow pages of this project's runs. Ctrl-C ends them.

    \b
    turnaround ui
    turnaround ui --port 5001
    """
    from turnaround.config import project_root

    journal, project = Journal(home()), project_root(Path.cwd())
    runs = journal.runs("project=? AND tracking<>''", [str(project)])
    uri = runs[0].tracking if runs else f"sqlite:///{project / 'mlflow.db'}"
    if uri.startswith(("http://", "https://")):
        typer.echo(f"the runs of this project go to a server: {uri}")
        return
    _check(journal, uri, runs)
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:  # as nohup asks
            signal.signal(name, signal.default_int_handler)  # leaves nothing behind, like Ctrl-C
    log = journal.root / "logs" / "ui.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with serve(uri, port or free_port(), log) as server:
            _await(server, log)
            typer.echo(_links(server, journal, uri, runs))
            server.process.wait()
            raise _ended(log)
    except KeyboardInterrupt:
        typer.echo("the pages are closed")


def _check(journal: Journal, uri: str, runs: list[Run]) -> None:
    """There is something to show; what is not in it yet has a recorder."""
    late = [run for run in runs if run.tracking == uri and not run.recorded]
    if late:
        start.ensure(journal.root, uri, late[0].interpreter)
    file = start.database(uri)
    if file is None or file.exists():
        return
    if late:
        lag = start.lag(journal.root, uri)
        why = lag.error if lag else "its first run is being written"
        raise JournalError(f"{file} is not there yet: {why}", "try again in a few seconds")
    raise JournalError(
        f"nothing to show: {file} does not exist", "turnaround run recipe=seq2seq makes a first run"
    )


def _await(server: Server, log: Path) -> None:
    """Wait until the pages answer, and show that time passes."""
    console = Console(stderr=True)
    began = time.monotonic()
    with console.status("starting MLflow's pages") as status:
        if not console.is_terminal:
            console.print("starting MLflow's pages …")
        while not server.answers():
            waited = time.monotonic() - began
            if server.process.poll() is not None or waited > SLOWEST:
                raise _ended(log)
            status.update(f"starting MLflow's pages, {units.duration(waited)}")
            time.sleep(0.2)


def _ended(log: Path) -> LaunchError:
    last = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
    return LaunchError(f"MLflow's server ended by itself:\n{last}", f"{log} has the rest")


def _links(server: Server, journal: Journal, uri: str, runs: list[Run]) -> str:
    """Where to click: all curves, the newest run, and what is missing still."""
    found = ((run, start.where(journal.folder(run.id))) for run in runs)
    run, place = next(((run, place) for run, place in found if place), (None, None))
    if run and place:
        all_runs = f"experiments/{place.experiment}/runs"
        lines = [
            f"{server.page(all_runs, compareRunsMode='CHART')}   all runs of {run.experiment}",
            f"{server.page(f'{all_runs}/{place.run}')}   {run.name or run.id}",
        ]
    else:
        lines = [f"{server.page('experiments')}   all experiments"]
    if lag := start.lag(journal.root, uri):
        lines.append(f"{lag.behind:,} events wait to be written: {lag.error}")
    return "\n".join([*lines, "Ctrl-C closes the pages"])
