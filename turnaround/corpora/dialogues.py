"""Dialogues of two speakers who take turns: read from JSON lines, or generated.

    read(Path("chat.jsonl"))[0]     # Dialogue("movies", ("Have you seen …?", "I just watched …"))
    told = tell("train", 4000)
    told.dialogues                  # two meet, say who they are and what they have, and ask
    told.nats                       # minus the logarithm of their probability, their topics given

A row of a file is {"topic": "movies", "turns": ["Have you seen any good movies?", …]}, its topic
optional. In generated dialogues every answer follows from what was said before, so who remembers
the thread is in doubt of nothing but names, things, and which question is asked.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from turnaround.corpora import english, text
from turnaround.corpora.english import Dice
from turnaround.corpora.lexicon import Noun, adjectives, nouns
from turnaround.errors import DataError

ROW = '{"topic": "movies", "turns": ["Have you seen any good movies?", "I have."]}'
SHOWN = 60  # characters of a malformed row
TOPICS = ("animal", "place", "thing")
NAMES = ("Ada", "Ben", "Clara", "Dan", "Eva", "Finn", "Greta", "Hugo", "Ida", "Jack", "Kate", "Leo")
GREETINGS = ("I am {me}.", "My name is {me}.", "They call me {me}.")
REPLIES = ("Hello {you}, I am {me}.", "Hello {you}, my name is {me}.")
REMARKS = ("I like my {said} {noun}.", "I lost my {said} {noun}.")
QUESTIONS = {
    "Who are you?": "I am {me}.",
    "Who am I?": "You are {you}.",
    "You said what?": "My {noun}.",
    "What is it like?": "It is {said}.",
}


class Dialogue(NamedTuple):
    """What two speakers say in turn, and what they were asked to talk about."""

    topic: str
    turns: tuple[str, ...]


class Told(NamedTuple):
    """Dialogues, and minus the logarithm of their probability."""

    dialogues: list[Dialogue]
    nats: float


# ── files ──


def read(path: Path) -> list[Dialogue]:
    """All dialogues of a file, one a line; empty lines are left out."""
    rows = enumerate(text.read(path).split("\n"), start=1)
    return [_dialogue(path, number, row) for number, row in rows if row.strip()]


def _dialogue(path: Path, line: int, row: str) -> Dialogue:
    try:
        value = json.loads(row)
    except ValueError:  # of numbers that are too long too
        raise _wrong(path, line, f"{row[:SHOWN]!r} is not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("turns"), list):
        raise _wrong(path, line, f"expected an object with turns, found {row[:SHOWN]!r}")
    topic = value.get("topic") or ""
    if not isinstance(topic, str):
        raise _wrong(path, line, f"expected a topic in words, found {json.dumps(topic)[:SHOWN]}")
    if not value["turns"]:
        raise _wrong(path, line, "nobody says anything")
    turns = (_turn(path, line, *each) for each in enumerate(value["turns"], start=1))
    return Dialogue(topic.strip(), tuple(turns))


def _turn(path: Path, line: int, number: int, said: Any) -> str:
    if not isinstance(said, str) or not said.strip():
        found = json.dumps(said)[:SHOWN]
        raise _wrong(path, line, f"expected words in turn {number}, found {found}")
    return " ".join(said.split())


def _wrong(path: Path, line: int, found: str) -> DataError:
    return DataError(f"{path}, line {line}: {found}", f"a row is: {ROW}")


def stretches(whole: Dialogue, most: int) -> list[Dialogue]:
    """The dialogue in pieces of so many turns; each begins with the turn of the first speaker."""
    most += most % 2
    firsts = range(0, len(whole.turns), most)
    return [whole._replace(turns=whole.turns[first : first + most]) for first in firsts]


# ── generated ──


def tell(split: str, count: int, seed: int = 0) -> Told:
    """So many dialogues of `train`, `valid` or `test`; the splits differ by their seed alone."""
    dice = Dice(f"{seed} {split} dialogues")  # seeded with a text: the same in every process
    return Told([_meeting(dice) for _ in range(count)], dice.nats)


def write(split: str, count: int, file: Path) -> None:
    """The same, into a file."""
    rows = (json.dumps(each._asdict(), ensure_ascii=False) for each in tell(split, count).dialogues)
    file.write_text("\n".join(rows), encoding="utf-8")


def _meeting(dice: Dice) -> Dialogue:
    topic = dice.sample(TOPICS, 1)[0]  # is given, so it costs nothing
    one, other = dice.choice(NAMES), dice.choice(NAMES)
    noun: Noun = dice.choice(nouns(topic))
    said = dice.choice([a for a in adjectives(topic) if a.english != "other"]).english
    facts = {"me": one, "you": other, "noun": noun.singular[0], "said": said}
    back = {"me": other, "you": one}
    turns = [dice.choice(GREETINGS).format(**facts), dice.choice(REPLIES).format(**back)]
    turns.append(dice.choice(REMARKS).format(**facts))
    left = list(QUESTIONS)
    while left:
        question = dice.choice(left)
        left.remove(question)
        turns += [question.format(**facts), QUESTIONS[question].format(**facts)]
    return Dialogue(topic, tuple(turns))


def edition() -> str:
    """Changes when the dialogues do: part of the name of whatever is kept of them."""
    files = (Path(__file__), Path(english.__file__), Path(__file__).with_name("lexicon.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
