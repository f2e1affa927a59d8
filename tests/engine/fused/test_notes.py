"""What the gate measured is not measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.fused.test_gate import Machine
from turnaround.engine.fused import gate
from turnaround.engine.fused.notes import Notes, known

SECONDS = {1: 1e-3, 4: 2e-3, 9: 3e-3, 16: 5e-3, 48: 9e-3}


def chosen(notes: Notes, trials: int, seconds: dict[int, float]) -> tuple[gate.Choice, list[int]]:
    """The choice, and the sizes that were measured for it."""
    machine = Machine(seconds)
    asked = (lambda: machine.step(1), machine.step, trials, 1e6, lambda: machine.now)
    return gate.choose(*asked, notes), machine.tried[1:]


def test_what_was_measured_answers_for_sizes_between(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "gate-1.json")
    assert chosen(notes, 48, SECONDS)[1] == [4, 16, 48]
    choice, measured = chosen(notes, 9, SECONDS)
    assert (choice.size, measured) == (9, [])
    assert choice.gains == pytest.approx({4: 2.0, 9: 9 / 3.25})
    assert chosen(notes, 48, SECONDS)[0].gains == pytest.approx({4: 2.0, 16: 3.2, 48: 48 / 9})


def test_larger_groups_are_measured_when_they_come(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "gate-1.json")
    assert chosen(notes, 9, SECONDS)[1] == [4, 9]
    assert chosen(notes, 48, SECONDS)[1] == [16, 48]
    assert chosen(notes, 48, SECONDS)[1] == []


def test_where_solo_steps_take_another_time_all_is_measured_anew(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "gate-1.json")
    chosen(notes, 9, SECONDS)
    slower = {size: 3 * seconds for size, seconds in SECONDS.items()}
    assert chosen(notes, 9, slower)[1] == [4, 9]
    assert chosen(notes, 9, slower)[1] == []
    assert chosen(notes, 9, SECONDS)[1] == [4, 9]


def test_a_file_that_cannot_be_read_or_written_says_nothing(tmp_path: Path) -> None:
    notes = Notes(tmp_path / "gate-1.json")
    for text in ("", "[[4,", '{"single": 1, "steps": 3}', "[]", '{"single": "x", "steps": []}'):
        notes.file.write_text(text)
        assert notes.paces(1.0) == {}
    notes.write(1.0, {4: 2.0})
    assert notes.paces(1.5) == {4: 3.0}
    assert [file.name for file in tmp_path.iterdir()] == ["gate-1.json"]
    Notes(tmp_path / "gone" / "gate-1.json").write(1.0, {4: 2.0})


def test_nothing_is_known_beyond_what_was_measured() -> None:
    assert known({}, 4) is None
    assert known({4: 1.0, 16: 3.0}, 17) is None
    assert known({4: 1.0, 16: 3.0}, 2) is None
    assert known({4: 1.0, 16: 3.0}, 16) == 3.0
