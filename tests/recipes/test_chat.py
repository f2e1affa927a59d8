from __future__ import annotations

import math
import os
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.trials import train
from tests.recipes.small import ROOT, SMALL, shipped
from turnaround.corpora.dialogues import tell
from turnaround.engine.recipe import load
from turnaround.errors import DataError

FILE = ROOT / "recipes" / "chat.py"
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "chat"
PAD, START, END = 0, 1, 2


def recipe(cache: Path, *words: str) -> Any:
    return load(FILE, SMALL["chat"].plan("chat", "budget.steps=2", *words), cache)


def test_every_turn_follows_its_speaker_and_only_what_was_said_is_judged(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.dialogues=300", "recipe.min_count=1")
    example = made.data("valid")[0]
    one, other = made.speakers
    tokens, said = example.source.tolist(), example.target.tolist()
    starts = [place for place, token in enumerate(tokens) if token == START]
    assert [tokens[place - 1] for place in starts] == [*[one, other] * 5, one]
    assert not any(said[place - 1] or said[place - 2] for place in starts)
    assert said[-1] == END
    assert all(follows in (PAD, token) for follows, token in zip(said, tokens[1:], strict=False))
    texts = made.vocabularies[0].decode([token for token in said if token != PAD])
    assert texts.split() == " ".join(example.text.turns).split()


def test_what_a_thread_contributes_depends_on_no_neighbour(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    examples, model = made.data("train")[:6], made.model().double().eval()

    def loss(some: list[Any]) -> torch.Tensor:
        batch = made.collate(some)
        return made.loss(model(*made.inputs(batch)), batch).values

    torch.testing.assert_close(loss(examples), sum(loss([example]) for example in examples))


def test_a_reply_is_as_likely_as_in_training(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.beam=2")
    model, thread = made.model().double().eval(), made.data("valid")[0].text
    model.out.bias.data[END] += 2  # an untrained model hardly ever ends
    reply = made.reply(model, thread)

    def nll(*turns: str) -> float:
        batch = made.collate([made.example(thread._replace(turns=turns))])
        return float(made.loss(model(*made.inputs(batch)), batch).values[0])

    before = thread.turns[:-1]
    best = nll(*before, reply)
    assert all(best <= nll(*before, other) + 1e-9 for other in ("I am Ada.", "Ada", "It is."))


def test_long_threads_are_cut_and_nothing_is_lost(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.turns=4")
    parts = [example.text.turns for example in made.data("test")]
    assert {len(turns) for turns in parts} == {3, 4}
    whole = [turn for thread in made.dialogues("test") for turn in thread.turns]
    assert [turn for turns in parts for turn in turns] == whole


def test_a_line_is_answered_the_same_each_time(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model().eval()
    assert made.answer(model, "Who are you?") == made.answer(model, " Who  are you? ")
    made.answer(model, "")
    made.answer(model, "a tag <one> is </s> a text")


def test_a_bad_row_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    file.write_text('{"turns": ["Hello."]}\n{"turns": []}\n')
    plan = SMALL["chat"].plan("chat", "budget.steps=2", f"data.path={file}")
    told = train(plan, tmp_path)
    assert told.code == DataError.exit_code
    assert told.one("error")["message"] == f"{file}, line 2: nobody says anything"


def test_a_model_is_not_used_with_another_vocabulary(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model()
    model.vocabularies += 1
    with pytest.raises(DataError, match="not those that this model learnt"):
        made.answer(model, "Hello.")


def test_two_steps_run_on_real_dialogues(tmp_path: Path) -> None:
    file = REAL / "self-dialogue-movies.jsonl"
    if not file.is_file():
        pytest.skip(f"no dialogues in {REAL}")
    some = tmp_path / "some.jsonl"
    with file.open(encoding="utf-8") as rows:
        some.write_text("".join(next(rows) for _ in range(60)), encoding="utf-8")
    words = (f"data.path={some}", "budget.steps=2", "evaluate.limit=4", "data.batch=4")
    told = train(SMALL["chat"].plan("chat", *words), tmp_path)
    assert told.code == 0, told.of("error")


def test_the_trigram_it_is_measured_against_gives_probabilities() -> None:
    trigram = runpy.run_path(str(ROOT / "scripts" / "bench" / "trigram.py"))["Trigram"]
    model = trigram([[4, 5, 6, 2], [4, 5, 4, 5, 7, 2], [6, 2]], tokens=9, edge=2)
    for context in [(2, 2), (4, 5), (5, 4), (7, 8)]:
        assert sum(model.probability((*context, k)) for k in range(9)) == pytest.approx(1)
    assert model.probability((4, 5, 6)) > model.probability((4, 5, 2)) > 0
    assert model.perplexity([[4, 5, 6, 2]]) < model.perplexity([[8, 8, 8, 8]])


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_remembers_what_was_said(tmp_path: Path) -> None:
    told = train(shipped("recipe=chat"), tmp_path)
    values = told.one("summary")["values"]
    made = load(FILE, shipped("recipe=chat"), tmp_path / "cache")
    told_test = tell("test", 500)
    count = sum(int((example.target != PAD).sum()) for example in made.data("test"))
    least = math.exp(told_test.nats / count)
    assert least < values["test/perplexity"] < 1.46  # a trigram model has 2.17
    assert values["test/exact"] > 0.3
