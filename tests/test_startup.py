import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "ray",
    "mlflow",
    "hydra",
    "omegaconf",
    "numpy",
    "matplotlib",
    "sacrebleu",
    "optuna",
}
PROBE = """
import sys
from turnaround.cli.main import main
sys.argv = ["turnaround", *{words!r}]
try:
    main()
except SystemExit as left:
    assert not left.code, left.code
print("LOADED", *sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


def loaded(*words: str) -> set[str]:
    """The top-level modules that are loaded after `turnaround WORDS`."""
    command = [sys.executable, "-c", PROBE.format(words=list(words))]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return set(text.rpartition("LOADED")[2].split())


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("run", "--help"), ("sweep", "--help"), ("ls",)]
)
def test_a_word_that_needs_no_engine_loads_none(words: tuple[str, ...]) -> None:
    assert loaded(*words) & HEAVY == set()


def test_plan_composes_without_torch_ray_or_mlflow() -> None:
    assert loaded("plan", "recipe=seq2seq", "--quick") & {"torch", "ray", "mlflow"} == set()


def test_the_package_itself_loads_nothing() -> None:
    probe = "import sys; a = set(sys.modules); import turnaround; print(*set(sys.modules) - a)"
    command = [sys.executable, "-c", probe]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.split() == ["turnaround"]
