"""The front door: every verb by name, loaded when it is asked for.

    turnaround --help
    turnaround --debug run recipe=seq2seq     # whole tracebacks

A verb is the function of the same name in its module of verbs/. What `--help` lists is written
here, so that asking for help imports no verb.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from turnaround import __version__
from turnaround.cli import door
from turnaround.errors import ConfigError, near

GROUPS = {
    "Ask": {
        "run": "train a recipe and watch it learn",
        "sweep": "try many settings, and keep the best",
        "plan": "show what a run would do, without doing it",
        "recipes": "list the recipes, or one recipe's knobs",
        "data": "prepare a data source, and say what is wrong with it",
        "init": "make a folder with a recipe of your own",
    },
    "Look": {
        "ls": "list runs, newest first",
        "show": "everything about one run",
        "logs": "what a run's processes printed",
        "watch": "attach the live view to a run",
        "report": "what came out of a sweep",
        "compare": "what differs between runs, and how sure that is",
        "why": "say what to change: slow, waiting or failed",
        "try": "use a trained model from standard input",
        "ui": "open the MLflow pages of this project's runs",
    },
    "Steer": {
        "stop": "save a run and stop it",
        "resume": "continue a stopped or failed run",
        "rm": "forget a run and delete its files",
        "gc": "free the space that no run needs",
    },
    "Machine": {
        "up": "start this machine's pool",
        "down": "stop this machine's pool",
        "doctor": "check this machine, and say what to do",
        "complete": "set up completion in your shell",
    },
}
VERBS = {verb: line for group in GROUPS.values() for verb, line in group.items()}


class Verbs(TyperGroup):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]  # typer's own Context
        """Every verb."""
        return list(VERBS)

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:  # type: ignore[override]  # typer's own Context
        """The command of a verb, from its module."""
        return _command(cmd_name) if cmd_name in VERBS else None

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]  # typer's own Context
        """The command that the words begin with; ConfigError names the nearest verbs."""
        if args[0] not in VERBS and not ctx.resilient_parsing:
            raise ConfigError(f"turnaround {args[0]} is not one of the verbs", near(args[0], VERBS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]  # typer's own Context
        """The verbs in their groups, without importing any."""
        for title, verbs in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(f"{verb:<8}", line) for verb, line in verbs.items()])


class Verb(TyperCommand):
    """A command that is named in what is said of its words."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # typer's own Context
        """The words, taken apart; typer does not say which verb's option lacks its argument."""
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            if getattr(error, "ctx", None) is None:
                error.ctx = ctx  # type: ignore[attr-defined]  # of usage errors
            raise


app = typer.Typer(
    cls=Verbs,
    add_completion=False,  # `turnaround complete` does that
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    subcommand_metavar="VERB ...",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"turnaround {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _turnaround(
    ctx: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show whole tracebacks; anywhere in the line.")
    ] = False,
) -> None:
    """From an idea to its answer, in hours instead of weeks.

    \b
    turnaround run recipe=seq2seq        train it, here and now
    turnaround ls                        what has been run
    turnaround VERB --help               more of a verb, with examples
    """
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
    else:
        _wake()


def _wake() -> None:
    """Windows that a reboot has interrupted go on, whatever is asked."""
    from turnaround.journal import home

    if (home() / "driven").is_dir():
        from turnaround.sweep import start

        for line in start.wake(home()):
            typer.echo(line, err=True)


def main() -> None:
    """Do what the command line asks, and exit."""
    sys.exit(obey(sys.argv[1:]))


def obey(words: list[str]) -> int:
    """Do what the words ask; the exit code."""
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    if "_TURNAROUND_COMPLETE" in os.environ:  # a shell asks; `turnaround complete` told it how
        os.environ["COLUMNS"] = "9999"  # rich would fold what words mean, and a line is a word
        typer.completion.completion_init()  # type: ignore[attr-defined]  # not listed by typer
    command = typer.main.get_command(app)
    return door.leave(lambda: command.main(words, "turnaround", standalone_mode=False), debug)


def _command(verb: str) -> Any:
    name = verb + "_" * keyword.iskeyword(verb)
    function: Callable[..., Any] = getattr(
        importlib.import_module(f"turnaround.cli.verbs.{name}"), name
    )
    single = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    single.command(verb, cls=Verb)(function)
    return typer.main.get_command(single)
