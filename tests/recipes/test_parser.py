from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.trials import train
from tests.recipes.small import ROOT, SMALL, shipped
from turnaround.corpora.trees import ROOT as OUTER
from turnaround.corpora.trees import Span, Tree
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError, DataError

FILE = ROOT / "recipes" / "parser.py"
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "parsing"


def recipe(cache: Path, *words: str) -> Any:
    return load(FILE, SMALL["parser"].plan("parser", "budget.steps=2", *words), cache)


def test_a_guess_is_a_tree_over_the_words_even_of_an_untrained_model(tmp_path: Path) -> None:
    for beam in (1, 3):
        made = recipe(tmp_path, f"recipe.beam={beam}")
        model, batch = made.model().eval(), made.collate(made.data("valid")[:12])
        guesses = made.guesses(model, batch.source)
        assert [guess[0].end for guess in guesses] == [len(tree.words) for tree in batch.texts]
        assert made.score(model, batch, None)["valid"].compute() == 1


def test_lines_that_are_no_trees_are_counted_when_anything_goes(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.free=true")
    model, batch = made.model().eval(), made.collate(made.data("valid")[:12])
    scores = {name: tally.compute() for name, tally in made.score(model, batch, None).items()}
    assert scores == {"f1": 0, "exact": 0, "valid": 0}


def test_a_sentence_is_parsed_alike_whatever_stands_beside_it(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model, examples = made.model().double().eval(), made.data("test")[:6]
    together = [row[1] for row in made.samples(model, examples)[1]]
    assert together == [made.answer(model, " ".join(e.text.words)) for e in examples]
    assert made.answer(model, " ") == ""


def test_a_word_with_a_space_that_does_not_break_is_parsed_as_it_was_read(tmp_path: Path) -> None:
    file = tmp_path / "trees.mrg"
    file.write_text("(S (NP (CD 10\u00a0000) (NNS men)) (VP (VBD slept)))\n" * 3)
    made = recipe(tmp_path, *(f"data.{split}={file}" for split in ("train", "valid", "test")))
    model, examples = made.model().eval(), made.data("test")[:1]
    ((_, guess),) = made.samples(model, examples)[1]
    assert made.answer(model, " ".join(examples[0].text.words)) == guess
    assert "10\u00a0000" in guess


def test_f1_of_batches_adds_up_to_that_of_the_corpus(tmp_path: Path) -> None:
    recipe(tmp_path)
    f1 = sys.modules["turnaround_recipe_parser"].F1
    gold = Tree(("a", "b"), ("X", "X"), (Span(OUTER, 0, 2), Span("S", 0, 2), Span("NP", 0, 1)))
    half = (Span(OUTER, 0, 2), Span("S", 0, 2), Span("VP", 1, 2), Span("NP", 1, 2))
    total = f1.of([gold], [gold.spans]) + f1.of([gold, gold], [half, None])
    assert total.compute() == pytest.approx(200 * (2 + 1 + 0) / ((2 + 3 + 0) + (2 + 2 + 2)))


def test_a_bad_tree_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "trees.mrg"
    file.write_text("(S (NP (PRP He)))\n(S (NP))\n")
    plan = SMALL["parser"].plan("parser", "budget.steps=2", f"data.path={file}")
    told = train(plan, tmp_path)
    assert told.code == DataError.exit_code
    assert told.one("error")["message"] == f"{file}, line 2: (NP) has nothing in it"


def test_a_model_is_not_used_with_another_vocabulary(tmp_path: Path) -> None:
    one, other = recipe(tmp_path), recipe(tmp_path)
    model = one.model()
    model.vocabularies += 1
    with pytest.raises(DataError, match="not those that this model learnt"):
        other.answer(model, "nobody slept .")


def test_an_odd_width_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.width=15"):
        recipe(tmp_path, "recipe.width=15")


def test_two_steps_run_on_real_trees(tmp_path: Path) -> None:
    if not REAL.is_dir():
        pytest.skip(f"no treebank in {REAL}")
    file = REAL / "gum-ccby.dev.ptb"
    words = (f"data.path={file}", "budget.steps=2", "evaluate.limit=4", "data.batch=4")
    made = recipe(tmp_path, *words)
    batch = made.collate(sorted(made.data("train"), key=made.length)[:4])
    model = made.model()
    loss = made.loss(model(*made.inputs(batch)), batch)
    assert torch.isfinite(loss.sum)
    assert None not in made.guesses(model.eval(), batch.source)


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_finds_the_brackets_of_unseen_sentences(tmp_path: Path) -> None:
    told = train(shipped("recipe=parser"), tmp_path)
    assert told.one("summary")["values"]["test/f1"] >= 95
