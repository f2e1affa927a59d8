import os
import time
from dataclasses import replace
from pathlib import Path

OLD = time.time() - 10 * 3600


def aged(path: Path, content: str = "x" * 1500) -> Path:
    """A file of long ago, or a folder with one."""
    if path.suffix:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    else:
        aged(path / "tree" / "file.py")
    os.utime(path, (OLD, OLD))
    return path


def test_an_empty_home_has_nothing_to_free(ask) -> None:
    assert ask("gc").out == "0 B freed in ~/home\n"


def test_only_what_no_run_needs_is_deleted(ask, submit, journal, plan) -> None:
    home = journal.root
    submit("seq2seq-aaaaa", plan=replace(plan, place=replace(plan.place, snapshot="used")))
    used, unused = aged(home / "snapshots" / "used"), aged(home / "snapshots" / "unused")
    fresh = home / "snapshots" / "fresh"
    fresh.mkdir()
    half = aged(home / "runs" / "seq2seq-aaaaa" / "checkpoints" / ".unfinished-step-00000100")
    gone = aged(home / "runs" / ".gone-seq2seq-bbbbb")
    said = ask("gc", "--dry-run").out
    assert unused.exists()
    assert said == (
        "  1.5 kB  snapshot  ~/home/snapshots/unused\n"
        "  1.5 kB  deleted run  ~/home/runs/.gone-seq2seq-bbbbb\n"
        "  1.5 kB  temporary  ~/home/runs/seq2seq-aaaaa/checkpoints/.unfinished-step-00000100\n"
        "4.5 kB could be freed in ~/home\n"
    )
    assert ask("gc").out == said.replace("could be freed", "freed")
    left = [path for path in (used, fresh, unused, half, gone) if path.exists()]
    assert left == [used, fresh]


def test_a_plan_and_a_sweep_that_a_crash_has_torn_hold_nothing(ask, journal) -> None:
    for name in ("plan.json", "sweep.json"):
        (journal.root / "runs" / name[:4]).mkdir(parents=True)
        (journal.root / "runs" / name[:4] / name).write_text('{"stems": [')
    aged(journal.root / "snapshots" / "unused")
    assert ask("gc").out.startswith("  1.5 kB  snapshot  ")


def test_space_is_freed_where_the_journal_cannot_be_read(ask, submit, journal) -> None:
    submit("seq2seq-aaaaa")
    aged(journal.root / "snapshots" / "unused")
    (journal.root / "journal.db").write_text("no database " * 100)
    said = ask("gc")
    assert (said.code, said.out.splitlines()[-1]) == (0, "1.5 kB freed in ~/home")


def test_a_folder_that_the_journal_does_not_know_is_kept(ask, journal) -> None:
    (journal.root / "runs" / "seq2seq-ccccc").mkdir(parents=True)
    assert ask("gc").out == (
        "0 B freed in ~/home\nkept: seq2seq-ccccc: in ~/home/runs but not in the journal\n"
    )
