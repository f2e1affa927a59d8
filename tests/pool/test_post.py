"""What is said on one machine arrives on another, once and whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from turnaround.pool.messages import post
from turnaround.pool.messages.post import EVENTS, LOG, Outbox


def say(folder: Path, events: str = "", log: str = "") -> None:
    for name, text in ((EVENTS, events), (LOG, log)):
        with (folder / name).open("a") as file:
            file.write(text)


def test_news_are_told_until_they_were_heard(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    assert box.empty
    say(tmp_path, '{"a": 1}\n', "out\n")
    first = box.news()
    assert (first["events"], first["log"]) == ('{"a": 1}\n', "out\n")
    assert box.news() == first
    box.heard(first["upto"])
    assert box.empty


def test_half_a_line_waits_for_its_end(tmp_path: Path) -> None:
    box = Outbox(tmp_path)
    say(tmp_path, '{"a": 1}\n{"b"')
    assert box.news()["events"] == '{"a": 1}\n'
    box.heard(box.news()["upto"])
    say(tmp_path, ": 2}\n")
    assert box.news()["events"] == '{"b": 2}\n'


def test_an_earlier_attempts_words_are_not_told_again(tmp_path: Path) -> None:
    say(tmp_path, '{"a": 1}\n')
    assert Outbox(tmp_path).empty


def test_what_is_too_much_for_one_answer_is_told_in_several(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(post, "_MOST", 20)
    box, told = Outbox(tmp_path), ""
    say(tmp_path, "".join(f'{{"a": {i}}}\n' for i in range(8)))
    while not box.empty:
        new = box.news()
        told += new["events"]
        box.heard(new["upto"])
    assert told.count("\n") == 8
