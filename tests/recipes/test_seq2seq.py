from __future__ import annotations

import multiprocessing
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import sacrebleu
import torch

from tests.engine.trials import train, trial_plan
from tests.recipes.small import shipped
from turnaround import config
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError, DataError, TurnaroundError
from turnaround.spec import (
    Budget,
    Data,
    Evaluate,
    Optim,
    Place,
    Plan,
    Recipe,
)

ROOT = Path(__file__).parents[2]
FILE = ROOT / "recipes" / "seq2seq.py"
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "translation"
PAD, END = 0, 2
SMALL = {"examples": 100, "width": 16, "tokens": 600, "beam": 2}


def plan(data: Data | None = None, knobs: dict[str, Any] | None = None, **changes: Any) -> Plan:
    """A few steps on a few sentences."""
    whole = trial_plan(
        recipe=Recipe("seq2seq", SMALL | (knobs or {})),
        data=data or Data(batch=8, bucket=4),
        budget=Budget(steps=2),
        evaluate=Evaluate(score="bleu", limit=8),
        place=Place(str(ROOT), sys.executable, "recipes/seq2seq.py", "c0de", "da7a"),
    )
    return replace(whole, **changes)


def recipe(cache: Path, knobs: dict[str, Any] | None = None, data: Data | None = None) -> Any:
    return load(FILE, plan(data, knobs), cache)


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    recipe(tmp_path_factory.mktemp("cache"))
    return sys.modules["turnaround_recipe_seq2seq"]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight sentences to learn by heart; each file is a whole corpus."""
    file = tmp_path_factory.mktemp("data") / "pairs.tsv"
    english = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    french = ["un", "deux", "trois", "quatre", "cinq", "six", "sept", "huit"]
    rows = zip(english, french, strict=True)
    file.write_text("".join(f"I see {e}.\tJe vois {f}\u202f!\n" for e, f in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "knobs",
    [
        {"attention": False, "reverse": True},
        {"layers": 2, "dropout": 0.2, "beam": 1},
        {"vocabulary": "word"},
    ],
    ids=str,
)
def test_two_steps_run(tmp_path: Path, knobs: dict[str, Any]) -> None:
    told = train(plan(knobs=knobs), tmp_path)
    assert told.code == 0, told.of("error")
    summary, samples = told.one("summary"), told.one("samples")
    assert summary["steps"] == 2
    assert {"valid/bleu", "test/bleu", "test/chrf", "test/exact"} <= set(summary["values"])
    assert samples["columns"] == ["source", "translation", "reference", "log-probability"]
    assert len(samples["rows"]) == 8


@pytest.mark.parametrize(
    "knobs",
    [
        {},
        pytest.param({"attention": False, "reverse": True}, marks=pytest.mark.slow),
        pytest.param({"vocabulary": "word", "min_count": 1}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_handful_of_sentences_is_learnt_by_heart(
    tmp_path: Path, pairs: Path, knobs: dict[str, Any]
) -> None:
    data = Data(train=str(pairs), valid=str(pairs), test=str(pairs), batch=8)
    learning = plan(data, {"width": 32, **knobs}, budget=Budget(steps=120), optim=Optim(lr=0.02))
    told = train(learning, tmp_path)
    assert told.code == 0, told.of("error")
    values = told.one("summary")["values"]
    assert values["test/exact"] == 1
    assert values["test/bleu"] == pytest.approx(100)
    rows = told.one("samples")["rows"]
    assert all(translation == reference for _, translation, reference, _ in rows)


def test_what_an_example_contributes_depends_on_no_neighbour(tmp_path: Path) -> None:
    for knobs in ({}, {"attention": False}):
        made = recipe(tmp_path, knobs)
        examples, model = made.data("train")[:12], made.model().double().eval()

        def loss(some: list[Any], made: Any = made, model: Any = model) -> torch.Tensor:
            batch = made.collate(some)
            return made.loss(model(*made.inputs(batch)), batch).values

        single = sum(loss([example]) for example in examples)
        torch.testing.assert_close(loss(examples), single)


def test_a_sentence_is_translated_alike_whatever_stands_beside_it(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model, examples = made.model().double().eval(), made.data("test")[:8]
    together = [row[1] for row in made.samples(model, examples)[1]]
    assert made.answer(model, " ") == ""
    assert together == [made.answer(model, example.text.source) for example in examples]


def test_a_model_is_not_used_with_another_vocabulary(tmp_path: Path, pairs: Path) -> None:
    def made(file: Path) -> Any:
        return recipe(tmp_path, data=Data(train=str(file), valid=str(file), test=str(file)))

    changed = tmp_path / "changed.tsv"
    changed.write_text(pairs.read_text(encoding="utf-8").replace("one", "eno"), encoding="utf-8")
    one, other = made(pairs), made(changed)
    model = other.model()
    model.load_state_dict(one.model().state_dict())  # all shapes are the same
    with pytest.raises(DataError, match="not those that this model learnt"):
        other.answer(model, "I see two.")


def test_beam_search_sees_the_probabilities_of_training(tmp_path: Path) -> None:
    for knobs in ({}, {"attention": False, "layers": 2}):
        made = recipe(tmp_path, knobs)
        model, batch = made.model().double().eval(), made.collate(made.data("valid")[:4])
        model.out.bias.data[END] += 2  # an untrained model hardly ever ends
        found = made.found(model, batch.source)
        target = [torch.tensor([*tokens, END]) for tokens in found.tokens]
        guess = replace(batch, target=torch.nn.utils.rnn.pad_sequence(target, True, PAD))
        nll = made.loss(model(*made.inputs(guess)), guess).sum.item()
        assert sum(found.log_probs) == pytest.approx(-nll)


@pytest.mark.parametrize("vocabulary", ["subword", "word"])
def test_the_tokens_of_a_text_joined_are_the_text(tmp_path: Path, vocabulary: str) -> None:
    texts = [
        "Ça alors\u202f! J'ai vu 1 234,5 œufs…",
        "«\u00a0L’été\u00a0», dit-elle.",
        'He said: "Don\'t!"',
        "tab\tand  two spaces, ニ, 🙂",
        "d'aujourd'hui",
        "a tag </s> is <pad> a text",
    ]
    tokenizer = recipe(tmp_path, {"vocabulary": vocabulary, "min_count": 1}).vocabulary(texts)
    for text in texts:
        tokens = tokenizer.encode(text).ids
        assert tokenizer.decode(tokens) == text
        assert min(tokens) > END


def test_nothing_is_unknown_to_subwords(tmp_path: Path) -> None:
    tokenizer = recipe(tmp_path).vocabulary(["abc"])
    assert tokenizer.decode(tokenizer.encode("Ὀδύσσεια 🙂").ids) == "Ὀδύσσεια 🙂"


def test_a_vocabulary_is_learnt_once_and_named_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, other = recipe(tmp_path), recipe(tmp_path, {"tokens": 300})
    learnt = first.vocabulary(["one two", "two"]).get_vocab()
    assert other.vocabulary(["one two", "two"]).get_vocab() == learnt  # of another content
    again = recipe(tmp_path)

    def subwords(*asked: Any) -> None:
        raise AssertionError("learnt again")

    monkeypatch.setattr(sys.modules[type(again).__module__], "subwords", subwords)
    assert again.vocabulary(["one two", "two"]).get_vocab() == learnt
    with pytest.raises(AssertionError, match="learnt again"):
        again.vocabulary(["one two", "three"])


def test_scores_of_batches_add_up_to_what_sacrebleu_says_of_the_corpus(module: ModuleType) -> None:
    guesses = ["Le chat dort.", "Elle est partie hier soir.", "Je vois un grand arbre.", ""]
    texts = ["Le chat dort.", "Elle partira demain soir.", "Je vois un arbre.", "Rien."]
    for tally, whole in (
        (module.Bleu, sacrebleu.corpus_bleu(guesses, [texts])),
        (module.Chrf, sacrebleu.corpus_chrf(guesses, [texts])),
    ):
        halves = tally.of(guesses[:1], texts[:1]) + tally.of(guesses[1:], texts[1:])
        assert halves.compute() == pytest.approx(whole.score)


def test_reading_backwards_turns_all_but_the_end(tmp_path: Path) -> None:
    forward, backward = recipe(tmp_path), recipe(tmp_path, {"reverse": True})
    one, other = (made.data("valid")[0] for made in (forward, backward))
    assert one.source[:-1].tolist() == other.source[:-1].tolist()[::-1]
    assert one.source[-1] == other.source[-1]
    assert one.target.tolist() == other.target.tolist()


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("recipe.width=0", "recipe.width is a whole number above 0"),
        ("recipe.beam=-1", "recipe.beam is a whole number above 0"),
        ("recipe.dropout=1.5", "recipe.dropout is a number at least 0 at most 1"),
        ("recipe.vocabulary=words", "word"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused(tmp_path: Path, word: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.compose(["recipe=seq2seq", word], tmp_path)
    assert word in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize("knobs", [{"languages": "english"}, {"width": 15}], ids=str)
def test_knobs_that_do_not_go_together_are_named(tmp_path: Path, knobs: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.(width=15|languages=english)"):
        recipe(tmp_path, knobs)


def test_a_bad_row_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_text("Go.\tVa !\nRun!\n")
    told = train(plan(Data(path=str(file))), tmp_path)
    assert told.code == DataError.exit_code
    assert f"{file}, line 2" in told.one("error")["message"]


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_translates_unseen_combinations(tmp_path: Path) -> None:
    told = train(shipped("recipe=seq2seq"), tmp_path)
    values = told.one("summary")["values"]
    assert values["test/bleu"] > 90
    assert values["test/chrf"] > 95


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_attention_and_reversal_help_on_long_sentences(tmp_path: Path) -> None:
    asked = {
        "attention": ["experiment=attention"],
        "none": ["experiment=attention", "recipe.attention=false"],
        "reversed": ["experiment=reversal"],
    }
    bleu = {
        name: train(shipped(*words), tmp_path / name).one("summary")["values"]["test/bleu"]
        for name, words in asked.items()
    }
    assert bleu["attention"] > bleu["reversed"] > bleu["none"]


# ── real sentences, where they are ──


@pytest.fixture(scope="module")
def real() -> Data:
    if not REAL.is_dir():
        pytest.skip(f"no Tatoeba corpus in {REAL}")
    train, valid, test = (str(REAL / f"eng-fra.{name}.tsv") for name in ("train", "dev", "test"))
    return Data(train=train, valid=valid, test=test, batch=32, bucket=4)


@pytest.mark.slow
def test_two_steps_run_on_tatoeba(tmp_path: Path, real: Data) -> None:
    train_file = tmp_path / "train.tsv"
    with open(real.train or "", encoding="utf-8") as rows:
        train_file.write_text("".join(next(rows) for _ in range(2000)), encoding="utf-8")
    told = train(plan(replace(real, train=str(train_file))), tmp_path)
    assert told.code == 0, told.of("error")


def test_two_at_once_learn_one_vocabulary(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    with context.Pool(2) as pool:
        sizes = pool.starmap(_size, [(tmp_path,)] * 2)
    assert sizes[0] == sizes[1]
    assert len(list(tmp_path.glob("vocabulary-*"))) == 2


def _size(cache: Path) -> int:
    try:
        return int(recipe(cache).vocabularies[0].get_vocab_size())
    except TurnaroundError as error:  # says more in another process than its type
        raise RuntimeError(str(error)) from None
