"""Facts of this machine, gathered at the door."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.examples import example_plan
from turnaround import __version__, config
from turnaround.errors import ConfigError
from turnaround.journal import Journal
from turnaround.launch import facts
from turnaround.spec import Inventory

TWO = Inventory(cpus=2, gpus=0)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.py").write_text("class Config:\n    width: int = 8\n")
    return tmp_path


def test_facts_say_where_a_run_starts_from(project: Path) -> None:
    (project / "pairs.tsv").write_text("one\tun\n")
    asked = config.compose(["recipe=tiny", "data.path=pairs.tsv"], project)
    found = facts.gather(asked, project, TWO)
    assert found.place.project == str(project)
    assert found.place.interpreter == sys.executable
    assert found.place.recipe_file == "recipes/tiny.py"
    assert found.data.path == str(project / "pairs.tsv")
    assert (found.inventory, found.version) == (TWO, __version__)
    assert found.place.code
    assert found.place.data


def trained(journal: Journal, run: str, name: str | None = None) -> str:
    """A run that has saved its best parameters."""
    journal.submit(replace(example_plan(), name=name), run)
    (journal.folder(run) / "checkpoints" / "best-00000010").mkdir(parents=True)
    return run


def test_what_to_start_from_is_found_by_id_by_its_beginning_and_by_name(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    run = trained(journal, "reverse-k3x9e", name="wide")
    assert [facts.ancestor(word, journal) for word in (run, "reverse-k3", "wide")] == [run] * 3


def test_the_newest_best_parameters_are_what_one_starts_from(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that was stopped and goes on has others later: it is another question then."""
    monkeypatch.setenv("TURNAROUND_HOME", str(tmp_path / "home"))
    journal = Journal(tmp_path / "home")
    trained(journal, "reverse-k3x9e")
    asked = config.compose(["recipe=tiny", "init_from=reverse-k3x9e"], project)
    assert facts.gather(asked, project, TWO).start == "best-00000010"
    checkpoints = journal.folder("reverse-k3x9e") / "checkpoints"
    for name in ("step-00000090", "best-00000080", ".unfinished-best-00000099"):
        (checkpoints / name).mkdir()
    assert facts.gather(asked, project, TWO).start == "best-00000080"
    for name in ("best-00000010", "best-00000080"):
        (checkpoints / name).rmdir()
    assert facts.gather(asked, project, TWO).start == "step-00000090"


def test_a_run_that_is_not_there_is_no_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    trained(journal, "reverse-k3x9e")
    with pytest.raises(ConfigError) as caught:
        facts.ancestor("reverse-k3x8e", journal)
    assert str(caught.value) == (
        "init_from=reverse-k3x8e: run reverse-k3x8e is not in the journal"
        "\n  → did you mean reverse-k3x9e?  (reverse-k3x9e)"
    )


def test_a_run_that_has_saved_nothing_is_no_start(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.submit(example_plan(), "reverse-k3x9e")
    with pytest.raises(ConfigError) as caught:
        facts.ancestor("reverse-k3x9e", journal)
    assert str(caught.value) == (
        "init_from=reverse-k3x9e: run reverse-k3x9e has no checkpoint"
        "\n  → wait for its first evaluation"
    )


def test_a_worker_gets_what_libraries_read_and_no_secret() -> None:
    shell = {
        "LANG": "C.UTF-8",
        "HF_HOME": "/data/hf",
        "NCCL_DEBUG": "INFO",
        "CUDA_VISIBLE_DEVICES": "1",
        "HF_TOKEN": "canary",
        "TORCH_API_KEY": "canary",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "PATH": "/bin",
    }
    assert list(facts.environ(shell)) == ["HF_HOME", "LANG", "NCCL_DEBUG"]


def test_the_machine_has_at_least_one_core() -> None:
    assert facts.inventory().cpus >= 1
    assert facts.inventory().gpus >= 0


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu.max": "max 100000"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, float("inf")),
        ({}, float("inf")),
    ],
)
def test_a_containers_quota_is_seen(tmp_path: Path, files: dict[str, str], cores: float) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert facts._quota(tmp_path) == cores


def test_hidden_gpus_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "glob", lambda *_: iter([Path("/dev/nvidia0"), Path("/dev/nvidia1")]))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert facts.inventory().gpus == 2
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert facts.inventory().gpus == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert facts.inventory().gpus == 0
