from __future__ import annotations

import sys

import pytest

from turnaround.cli.meanwhile import meanwhile


def test_only_a_terminal_is_told_what_is_done_meanwhile(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with meanwhile("reading"):
        pass
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with meanwhile("reading"):
        pass
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading …" in err
