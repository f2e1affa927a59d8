from __future__ import annotations

import math
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.trials import Gang, Told, train, trial_plan
from tests.recipes.small import shipped
from turnaround import config
from turnaround.corpora import english
from turnaround.engine.recipe import load
from turnaround.errors import ConfigError, DataError
from turnaround.spec import (
    Budget,
    Data,
    Evaluate,
    Layout,
    Optim,
    Place,
    Plan,
    Recipe,
    Update,
)

ROOT = Path(__file__).parents[2]
FILE = ROOT / "recipes" / "lm.py"
SHARED = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data"))
REAL = SHARED / "language" / "tinyshakespeare.txt"
SMALL = {"sentences": 100, "width": 16, "layers": 2, "heads": 2, "context": 16, "written": 5}
KINDS = [{"model": "transformer"}, {"model": "lstm"}]


def plan(data: Data | None = None, knobs: dict[str, Any] | None = None, **changes: Any) -> Plan:
    """A few steps on a few sentences."""
    whole = trial_plan(
        recipe=Recipe("lm", SMALL | (knobs or {})),
        data=data or Data(batch=8),
        budget=Budget(steps=2),
        evaluate=Evaluate(limit=8),
        place=Place(str(ROOT), sys.executable, "recipes/lm.py", "c0de", "da7a"),
    )
    return replace(whole, **changes)


def recipe(cache: Path, knobs: dict[str, Any] | None = None, data: Data | None = None) -> Any:
    return load(FILE, plan(data, knobs), cache)


@pytest.fixture(scope="module")
def rhyme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight lines to learn by heart: windows of 16 that begin with no two alike places."""
    file = tmp_path_factory.mktemp("data") / "rhyme.txt"
    numbers = ["one", "two", "three", "four", "five", "six", "seven", "eight"]
    file.write_text("".join(f"{n}: {n.upper()}!\n" for n in numbers), encoding="utf-8")
    return file


def whole(file: Path, **changes: Any) -> Data:
    """The same text to train and to be judged on."""
    return Data(train=str(file), valid=str(file), test=str(file), **changes)


@pytest.mark.parametrize(
    "knobs",
    [{"tokens": "bpe", "vocabulary": 300}, {"model": "lstm", "dropout": 0.2}],
    ids=str,
)
def test_two_steps_run(tmp_path: Path, knobs: dict[str, Any]) -> None:
    told = train(plan(knobs=knobs), tmp_path)
    assert told.code == 0, told.of("error")
    summary, samples = told.one("summary"), told.one("samples")
    assert summary["steps"] == 2
    assert {"test/loss", "test/bits_per_byte", "test/perplexity"} <= set(summary["values"])
    assert samples["columns"] == ["text", "continued"]
    assert len(samples["rows"]) == 8


@pytest.mark.parametrize("knobs", KINDS, ids=str)
def test_a_handful_of_lines_is_learnt_by_heart(
    tmp_path: Path, rhyme: Path, knobs: dict[str, Any]
) -> None:
    knobs = knobs | {"width": 32, "written": 11, "temperature": 0.1}
    learning = plan(whole(rhyme, batch=8), knobs, budget=Budget(steps=200), optim=Optim(lr=0.01))
    told = train(learning, tmp_path)
    assert told.code == 0, told.of("error")
    assert told.one("summary")["values"]["test/loss"] < 0.6  # the start of a window is a guess
    text = rhyme.read_text().replace("\n", "↵")
    for begun, continued in told.one("samples")["rows"]:
        assert begun + continued[: len(text) - text.index(begun) - len(begun)] in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "layout",
    [
        Layout("ddp", replicate=2),
        pytest.param(Layout("pipeline", pipeline=2), marks=pytest.mark.slow),
    ],
    ids=lambda value: value.name,
)
def test_the_lstm_draws_the_curve_of_one_device_on_two(tmp_path: Path, layout: Layout) -> None:
    settings = {"budget": Budget(steps=20), "optim": Optim(lr=0.01), "precision": "fp64"}
    one = plan(Data(batch=16), {"model": "lstm"}, update=Update(accumulate=2), **settings)
    alone = train(one, tmp_path / "one")
    both: Told = Gang(replace(one, layout=layout), tmp_path / "two").wait()[0]
    assert alone.code == both.code == 0, both.of("error")
    assert list(both.curve().values()) == pytest.approx(list(alone.curve().values()), rel=1e-9)
    for name, value in alone.one("summary")["values"].items():
        assert both.one("summary")["values"][name] == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("knobs", KINDS, ids=str)
def test_no_token_is_foreseen_from_what_follows_it(tmp_path: Path, knobs: dict[str, Any]) -> None:
    made = recipe(tmp_path, knobs)
    model, tokens = made.model().double().eval(), made.collate([made.data("train")[0]])
    changed = tokens.clone()
    changed[:, 9:] = (changed[:, 9:] + 1) % 20
    one, other = model(tokens[:, :-1]), model(changed[:, :-1])
    torch.testing.assert_close(one[:, :9], other[:, :9])
    assert not torch.allclose(one[:, 9:], other[:, 9:])


@pytest.mark.parametrize("knobs", KINDS, ids=str)
def test_the_stages_one_after_another_are_the_model(tmp_path: Path, knobs: dict[str, Any]) -> None:
    made = recipe(tmp_path, knobs)
    model, tokens = made.model().eval(), made.collate([made.data("train")[0]])[:, :-1]
    stream = tokens
    for stage in made.stages(model):
        stream = stage(stream)
    torch.testing.assert_close(stream, model(tokens))
    held = [p for stage in made.stages(model) for p in stage.parameters()]
    assert len(held) == len(list(model.parameters()))


def test_a_block_works_on_its_share_of_the_heads(tmp_path: Path) -> None:
    block = recipe(tmp_path).model().double().blocks[0]
    stream = torch.randn(2, 7, 16, dtype=torch.float64)
    shares = []
    for half in range(2):
        part = recipe(tmp_path).model().double().blocks[0]
        part.heads //= 2
        part.look.weight.data = block.look.weight.data.chunk(2, 0)[half]  # columns: outputs
        part.look.bias.data = block.look.bias.data.chunk(2, 0)[half]
        part.out.weight.data = block.out.weight.data.chunk(2, 1)[half]  # rows: inputs
        part.out.bias.data = block.out.bias.data / 2
        part.up, part.down = Nothing(), torch.nn.Identity()  # attention alone
        shares.append(part(stream) - stream)
    block.up, block.down = Nothing(), torch.nn.Identity()
    torch.testing.assert_close(sum(shares) + stream, block(stream))


class Nothing(torch.nn.Module):
    """Zeros."""

    def forward(self, stream: torch.Tensor) -> torch.Tensor:
        return torch.zeros_like(stream)


def test_every_token_of_the_held_out_text_but_the_first_is_judged_once(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    tokens, windows = made.tokens("valid"), made.data("valid")
    judged = torch.cat([window[1:] for window in windows])
    assert len(tokens) - 1 - len(judged) < SMALL["context"]
    assert judged.tolist() == tokens[1 : len(judged) + 1].tolist()


@pytest.mark.parametrize("tokens", ["char", "bpe"])
def test_bits_are_per_byte_whatever_the_tokens(tmp_path: Path, tokens: str) -> None:
    made = recipe(tmp_path, {"tokens": tokens})
    model, batch = made.model().eval(), made.collate(list(made.data("valid")[:4]))
    logits = model(*made.inputs(batch))
    loss, scores = made.loss(logits, batch), made.score(model, batch, logits)
    said = made.tokenizer.decode_batch(batch[:, 1:].tolist())
    size = sum(len(text.encode()) for text in said)
    bits = loss.compute() * batch[:, 1:].numel() / math.log(2) / size
    assert scores["bits_per_byte"].compute() == pytest.approx(bits)
    halves = [
        made.score(model, half, part)["perplexity"]
        for half, part in zip(batch.chunk(2), logits.chunk(2), strict=True)
    ]
    assert (halves[0] + halves[1]).compute() == pytest.approx(math.exp(loss.compute()))


def test_a_line_goes_on_the_same_way_each_time(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model().eval()
    assert len(made.answer(model, "The king")) == SMALL["written"]
    assert made.answer(model, "The king") == made.answer(model, "The king")
    assert made.answer(model, "") != ""
    assert made.answer(model, "ĉ\u3042 is not in the text") != ""


def test_a_model_is_not_used_with_another_vocabulary(tmp_path: Path, rhyme: Path) -> None:
    changed = tmp_path / "changed.txt"
    changed.write_text(rhyme.read_text().replace("!", "?"))
    one, other = (recipe(tmp_path, data=whole(file)) for file in (rhyme, changed))
    model = other.model()
    model.load_state_dict(one.model().state_dict())  # all shapes are the same
    with pytest.raises(DataError, match="not the one that this model learnt"):
        other.answer(model, "one")


# ── what cannot be ──


def refused(tmp_path: Path, file: Path, **knobs: Any) -> dict[str, Any]:
    """What a run says of a text that cannot be used."""
    told = train(plan(Data(path=str(file)), knobs), tmp_path)
    assert told.code == DataError.exit_code
    return told.one("error")


def test_a_text_that_is_not_there_is_refused_with_one_that_is(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("words")
    error = refused(tmp_path, tmp_path / "bok.txt")
    assert error["message"] == f"{tmp_path / 'bok.txt'} is not there"
    assert error["hint"].startswith("did you mean book.txt?")


def test_a_text_that_is_not_utf_8_is_refused_with_line_and_offset(tmp_path: Path) -> None:
    file = tmp_path / "old.txt"
    file.write_bytes(b"one\ntwo\ncaf\xe9\n")
    error = refused(tmp_path, file)
    assert error["message"] == f"{file}, line 3: expected UTF-8, found byte 0xe9 at offset 11"
    assert error["hint"].startswith("convert it: iconv")


def test_a_text_that_is_empty_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "blank.txt"
    file.write_text(" \n")
    assert refused(tmp_path, file)["message"] == f"{file} is empty"


def test_a_text_too_short_for_the_context_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "short.txt"
    file.write_text("a short text. " * 20)
    error = refused(tmp_path, file)
    assert error["message"] == "the valid text has 14 tokens, too few for recipe.context=16"
    assert error["hint"] == "give a longer text, or a shorter context"


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("recipe.width=0", "recipe.width is a whole number above 0"),
        ("recipe.model=gru", "lstm"),
        ("recipe.temperature=0", "recipe.temperature is a number above 0"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused(tmp_path: Path, word: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.compose(["recipe=lm", word], tmp_path)
    assert word in caught.value.message
    assert hint in caught.value.hint


def test_heads_that_cannot_share_the_width_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.width=16 cannot be shared by recipe\.heads=3"):
        recipe(tmp_path, {"heads": 3})


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_default_comes_near_what_there_is_to_know(tmp_path: Path) -> None:
    told = train(shipped("recipe=lm"), tmp_path)
    truth = english.tell("test", 1000)
    loss = told.one("summary")["values"]["test/loss"]
    assert truth.nats / len(truth.text) < loss < 0.8


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("model", ["transformer", "lstm"])
def test_shakespeare_is_learnt_a_little(tmp_path: Path, model: str) -> None:
    if not REAL.is_file():
        pytest.skip(f"no tiny Shakespeare in {REAL}")
    words = ["experiment=shakespeare", f"data.path={REAL}", f"recipe.model={model}"]
    told = train(shipped(*words, "budget.steps=800", "evaluate.every=800"), tmp_path)
    assert told.one("summary")["values"]["valid/loss"] < 2.3  # that of pairs of characters is 2.45
