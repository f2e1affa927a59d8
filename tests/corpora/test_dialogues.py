from __future__ import annotations

import math
from pathlib import Path

import pytest

from turnaround.corpora.dialogues import NAMES, Dialogue, read, stretches, tell, write
from turnaround.errors import DataError

ROW = '{"topic": "movies", "turns": ["Seen any?", "I  have."]}'


def dialogues(tmp_path: Path, content: str) -> list[Dialogue]:
    file = tmp_path / "chat.jsonl"
    file.write_text(content, encoding="utf-8")
    return read(file)


def test_a_row_is_a_dialogue(tmp_path: Path) -> None:
    movies = Dialogue("movies", ("Seen any?", "I have."))
    assert dialogues(tmp_path, f"{ROW}\n\n{ROW}") == [movies, movies]
    assert dialogues(tmp_path, '{"turns": ["Hello."], "id": 7}') == [Dialogue("", ("Hello.",))]


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ("Seen any?", "'Seen any?' is not JSON"),
        ('["Seen any?"]', "expected an object with turns, found '[\"Seen any?\"]'"),
        ('{"topic": "movies"}', 'expected an object with turns, found \'{"topic": "movies"}\''),
        ('{"turns": "Seen any?"}', "expected an object with turns"),
        ('{"turns": []}', "nobody says anything"),
        ('{"topic": 7, "turns": ["Hello."]}', "expected a topic in words, found 7"),
        ('{"turns": ["Hello.", " "]}', 'expected words in turn 2, found " "'),
        ('{"turns": ["Hello.", null]}', "expected words in turn 2, found null"),
    ],
)
def test_a_bad_row_is_told_with_its_file_and_line(tmp_path: Path, row: str, found: str) -> None:
    with pytest.raises(DataError) as caught:
        dialogues(tmp_path, f"{ROW}\n{row}\n")
    assert caught.value.message.startswith(f"{tmp_path / 'chat.jsonl'}, line 2: {found}")


def test_generated_dialogues_are_the_same_each_time_and_after_a_file(tmp_path: Path) -> None:
    told = tell("train", 20)
    write("train", 20, tmp_path / "chat.jsonl")
    assert tell("train", 20) == told
    assert read(tmp_path / "chat.jsonl") == told.dialogues
    assert tell("valid", 20) != told


def test_every_answer_follows_from_what_was_said() -> None:
    for dialogue in tell("test", 200).dialogues:
        one, other, remark = dialogue.turns[:3]
        asked = dict(zip(dialogue.turns[3::2], dialogue.turns[4::2], strict=True))
        assert len(asked) == 4
        for question, answer in asked.items():
            if question.startswith("Who am I"):
                assert answer.removeprefix("You are ").rstrip(".") in other
            elif question.startswith("Who are you"):
                assert answer.removeprefix("I am ").rstrip(".") in one
            else:
                assert answer.rstrip(".").split()[-1] in remark


def test_a_dialogue_costs_what_was_chosen_in_it() -> None:
    names = 2 * math.log(len(NAMES))
    told = tell("train", 1)
    assert names < told.nats < names + math.log(3 * 2 * 2 * 24 * 20 * 30)


def test_a_stretch_begins_with_the_first_speaker() -> None:
    whole = Dialogue("movies", tuple("abcde"))
    assert [part.turns for part in stretches(whole, 2)] == [("a", "b"), ("c", "d"), ("e",)]
    assert [part.turns for part in stretches(whole, 3)] == [("a", "b", "c", "d"), ("e",)]
    assert {part.topic for part in stretches(whole, 2)} == {"movies"}
