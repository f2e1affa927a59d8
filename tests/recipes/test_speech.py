from __future__ import annotations

import itertools
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.corpora.test_recordings import TONE, tone
from tests.engine.trials import train
from tests.recipes.small import ROOT, SMALL, shipped
from turnaround import config
from turnaround.engine.data import Feed
from turnaround.engine.recipe import load
from turnaround.engine.world import World
from turnaround.errors import ConfigError, DataError
from turnaround.nn.ctc import collapsed
from turnaround.spec import Data, Plan

FILE = ROOT / "recipes" / "speech.py"
SHARED = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data"))
DIGITS = SHARED / "speech"
NORMS = ["recipe.norm=layer", "recipe.norm=sequence"]


def plan(*words: str) -> Plan:
    return SMALL["speech"].plan("speech", *words)


def recipe(cache: Path, *words: str) -> Any:
    return load(FILE, plan(*words), cache)


def listener(made: Any) -> tuple[Any, Any]:
    """A recipe's model in float64, and a batch of three utterances of different lengths."""
    torch.manual_seed(0)
    model = made.model().double().eval()
    examples = sorted(made.data("train")[:20], key=made.length)
    return model, made.collate([examples[0], examples[10], examples[-1]])


def reading(cache: Path, data: Data, *words: str) -> Any:
    """The recipe, of these files."""
    return load(FILE, replace(plan(*words), data=data), cache)


def table(folder: Path, *rows: str) -> Data:
    """Those rows, for every split."""
    file = folder / "speech.tsv"
    file.write_text("".join(row + "\n" for row in rows))
    return Data(train=str(file), valid=str(file), test=str(file), batch=2)


# ── the network ──


@pytest.mark.parametrize("words", [*NORMS, "recipe.streaming=true", "recipe.stride=3"])
def test_an_utterance_is_heard_the_same_in_any_batch(tmp_path: Path, words: str) -> None:
    made = recipe(tmp_path, words)
    model, batch = listener(made)
    together, frames = model(batch.sound.double(), batch.frames)
    for row, count in enumerate(batch.frames.tolist()):
        samples = 256 + 80 * (count - 1)  # all that its frames are made of
        alone, own = model(
            batch.sound[row : row + 1, :samples].double(), batch.frames[row : row + 1]
        )
        assert own.item() == frames[row].item() == alone.shape[1]
        torch.testing.assert_close(together[row, : own.item()], alone[0])


def test_who_streams_hears_no_further_ahead_than_the_row_convolution(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.streaming=true", "recipe.ahead=3", "recipe.stride=2")
    model, batch = listener(made)
    sound, frames = batch.sound[2:].double(), batch.frames[2:]
    before, _ = model(sound, frames)
    heard = 6  # frames of the output
    end = 256 + 80 * 2 * (heard - 1 + 3)  # the last sample that they may depend on
    changed = sound.clone()
    changed[:, end:] += torch.randn_like(changed[:, end:])
    after, _ = model(changed, frames)
    torch.testing.assert_close(after[:, :heard], before[:, :heard], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(after[:, heard], before[:, heard])


def test_who_does_not_stream_hears_to_the_end(tmp_path: Path) -> None:
    model, batch = listener(recipe(tmp_path))
    sound, frames = batch.sound[2:].double(), batch.frames[2:]
    changed = sound.clone()
    changed[:, -1000:] = 0
    assert not torch.allclose(model(sound, frames)[0][:, 0], model(changed, frames)[0][:, 0])


def test_what_has_passed_stays_said_as_more_is_heard(tmp_path: Path) -> None:
    made = recipe(tmp_path, "recipe.streaming=true", "recipe.ahead=2", "recipe.stride=1")
    model, batch = listener(made)
    sound, frames = batch.sound[2:].double(), batch.frames[2:]
    whole, _ = model(sound, frames)
    part, _ = model(sound[:, : 256 + 80 * 29], torch.tensor([30]))
    torch.testing.assert_close(part[:, :28], whole[:, :28])


# ── loss and scores ──


def test_the_loss_is_the_sum_over_alignments_of_every_utterance(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    log_probs = torch.randn(3, 5, 3, dtype=torch.float64).log_softmax(2)
    frames, texts = torch.tensor([5, 3, 4]), [[1, 1], [2], [1, 2, 1]]
    truth = 0.0
    for row, count, text in zip(log_probs, frames.tolist(), texts, strict=True):
        ways = [
            row[torch.arange(count), torch.tensor(way)].sum().exp()
            for way in itertools.product(range(3), repeat=count)
            if collapsed(way) == text
        ]
        truth -= math.log(sum(ways))
    batch = replace(
        made.collate(made.data("train")[:3]),
        symbols=torch.tensor([symbol for text in texts for symbol in text]),
        lengths=torch.tensor([2, 1, 3]),
    )
    loss = made.loss((log_probs, frames), batch)
    assert loss.sum.item() == pytest.approx(truth, rel=1e-9)
    assert loss.count.item() == 3


def test_error_rates_are_sums_of_edits_over_sums_of_lengths(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    rate = type(made).score.__globals__["ErrorRate"]
    some = rate.between(["abd", ""], ["abc", "ab"])
    assert some.values.tolist() == [3, 5]
    more = some + rate.between(["xay"], ["a"])  # two too many
    assert more.compute() == pytest.approx(5 / 6)
    assert rate.between([["a", "cat"]], [["a", "dog"]]).compute() == 0.5


def test_a_beam_with_a_model_of_the_texts_mends_what_greedy_mishears(tmp_path: Path) -> None:
    said = ["ab ab", "ab ab", "ab"]
    for number in range(3):
        tone(tmp_path / f"{number}.wav")
    data = table(tmp_path, *(f"{number}.wav\t{text}" for number, text in enumerate(said)))
    made = reading(
        tmp_path, data, "recipe.beam=8", "recipe.order=3", "recipe.stride=1", "recipe.alpha=1"
    )
    assert made.alphabet == " ab"
    path = [2, 0, 2, 0, 1, 0, 2, 3]  # aa ab, but that the second a is nearly a b
    log_probs = torch.full((1, 8, 4), 0.01)
    log_probs[0, range(8), path] = 0.97
    log_probs[0, 2] = torch.tensor([0.01, 0.01, 0.5, 0.48])
    output = log_probs.log(), torch.tensor([8])
    assert made.written(made.model(), output) == ["ab ab"]
    greedy = reading(tmp_path, data)
    assert greedy.written(greedy.model(), output) == ["aa ab"]


@pytest.mark.parametrize("words", ["recipe.streaming=true", "precision=bf16"])
def test_two_steps_run_another_way(tmp_path: Path, words: str) -> None:
    told = train(plan(words, "budget.steps=2", "evaluate.limit=8"), tmp_path)
    assert told.code == 0, told.of("error")
    assert {"cer", "wer"} == {
        name.removeprefix("test/")
        for name in told.one("summary")["values"]
        if name.startswith("test/") and not name.endswith("loss")
    }


def test_sortagrad_begins_with_the_shortest(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    train_split = made.data("train")
    shortest = sorted(map(made.length, train_split))
    feed = Feed(made, plan("data.sortagrad=true"), World(torch.device("cpu")), (0, 1))
    numbers = feed.numbers(0) + feed.numbers(feed.size)
    assert [made.length(train_split[i]) for i in numbers] == shortest[: 2 * feed.size]


# ── files ──


def test_a_recording_is_written_down(tmp_path: Path) -> None:
    made = recipe(tmp_path)
    model = made.model().eval()
    line = f" {tone(tmp_path / 'a.wav')}\n"
    assert made.answer(model, line) == made.answer(model, line)
    with pytest.raises(DataError, match=r"b\.wav is not there"):
        made.answer(model, str(tmp_path / "b.wav"))


def test_a_recording_is_heard_at_the_rate_that_the_model_was_made_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recipe(tmp_path, "recipe.rate=16000")  # of files, and these are generated
    monkeypatch.setattr(made, "transcripts", lambda _, examples: [examples[0].samples])
    heard = made.answer(made.model(), str(tone(tmp_path / "a.wav")))
    assert heard == len(TONE)  # not resampled


def test_a_model_writes_the_characters_it_learnt(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")
    made = reading(tmp_path, table(tmp_path, "a.wav\txyz"))
    model = made.model()
    model.alphabet.copy_(torch.tensor([ord(letter) for letter in "klm"]))
    certain = torch.eye(4)[torch.tensor([[1, 2, 3]])].log()
    assert made.written(model, (certain, torch.tensor([3]))) == ["klm"]


def test_a_text_too_long_for_its_recording_names_file_and_line(tmp_path: Path) -> None:
    tone(tmp_path / "a.wav")  # 0.1 s: 7 frames, 4 after the stride
    data = table(tmp_path, "a.wav\tabcd", "a.wav\tabba")
    told = train(replace(plan("budget.steps=2"), data=data), tmp_path)
    assert told.code == DataError.exit_code
    error = told.one("error")
    assert error["message"] == (
        f"{data.train}, line 2: a.wav: 'abba' needs 5 frames, the sound makes 4"
    )


def test_what_is_no_recording_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_text("words")
    data = table(tmp_path, "a.wav\tab")
    told = train(replace(plan("budget.steps=2"), data=data), tmp_path)
    assert told.code == DataError.exit_code
    assert f"{tmp_path / 'a.wav'} cannot be read as .wav" in told.one("error")["message"]


def test_joined_recordings_of_the_splits_are_apart(tmp_path: Path) -> None:
    for take in range(12):
        tone(tmp_path / f"7_anna_{take}.wav")
    words = ("recipe.join=true", "recipe.utterances=20")
    made = reading(tmp_path, Data(path=str(tmp_path)), *words)
    files = {
        split: {part.file.name for said in made.data(split) for part in said.parts}
        for split in ("train", "valid", "test")
    }
    assert files["train"] == {"7_anna_10.wav", "7_anna_11.wav"}
    assert files["test"] == {f"7_anna_{take}.wav" for take in range(5)}
    assert {len(said.text) for said in made.data("train")} <= set(range(3, 9))


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("recipe.norm=batch", "sequence"),
        ("recipe.stride=0", "recipe.stride is a whole number above 0"),
        ("recipe.alpha=0", "recipe.alpha is a number above 0"),
    ],
)
def test_a_knob_that_makes_no_sense_is_refused(tmp_path: Path, word: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.compose(["recipe=speech", word], tmp_path)
    assert word in caught.value.message
    assert hint in caught.value.hint


def test_knobs_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recipe\.least=9 is more than recipe\.most=8"):
        recipe(tmp_path, "recipe.least=9", "recipe.most=8")
    with pytest.raises(ConfigError, match=r"recipe\.order=5 is for a beam"):
        recipe(tmp_path, "recipe.order=5")


# ── long ones: -m slow ──


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_generated_speech_is_understood(tmp_path: Path) -> None:
    told = train(shipped("recipe=speech", "budget.steps=400", "evaluate.every=400"), tmp_path)
    assert told.one("summary")["values"]["test/cer"] < 0.05


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_spoken_digits_are_understood_a_little(tmp_path: Path) -> None:
    if not DIGITS.is_dir():
        pytest.skip(f"no spoken digits in {DIGITS}")
    words = ["experiment=digits", f"data.path={DIGITS}", "recipe.most=4", "budget.steps=250"]
    told = train(shipped(*words, "evaluate.every=250", "evaluate.limit=100"), tmp_path)
    assert told.one("summary")["values"]["valid/cer"] < 0.6
