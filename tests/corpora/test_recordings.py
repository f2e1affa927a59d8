from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from turnaround.corpora.recordings import Recording, Spoken, joined, length, samples, split
from turnaround.errors import DataError
from turnaround.spec import Data

TONE = np.sin(np.arange(800) / 5)


def write(file: Path, content: bytes, width: int = 2, rate: int = 8000, channels: int = 1) -> Path:
    """A .wav file of that content."""
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(rate)
        sound.writeframes(content)
    return file


def tone(file: Path, rate: int = 8000) -> Path:
    return write(file, (TONE * 32000).astype("<i2").tobytes(), rate=rate)


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """A folder of three digits, by two speakers, in twelve takes."""
    for digit in range(3):
        for take in range(12):
            tone(tmp_path / f"{digit}_anna_{take}.wav")
            tone(tmp_path / f"{digit}_van_berg_{take}.wav")
    return tmp_path


def table(folder: Path, rows: int = 100) -> Path:
    """A table of files that are there."""
    tone(folder / "one.wav")
    lines = [f"{number}.wav\ttext {number}\n" for number in range(rows)]
    for number in range(rows):
        (folder / f"{number}.wav").hardlink_to(folder / "one.wav")
    file = folder / "speech.tsv"
    file.write_text("".join(lines))
    return file


# ── which there are ──


def test_a_folder_is_cut_by_takes(digits: Path) -> None:
    data = Data(path=str(digits))
    found = {name: split(data, name) for name in ("train", "valid", "test")}
    assert {name: len(mine) for name, mine in found.items()} == {
        "train": 12,
        "valid": 30,
        "test": 30,
    }
    assert {said.text for said in found["test"]} == {"0", "1", "2"}
    assert found["test"][0].file == digits / "0_anna_0.wav"
    assert len(split(Data(train=str(digits), valid=str(digits), test=str(digits)), "valid")) == 72


@pytest.mark.parametrize("own", [(), ("valid",), ("test",), ("valid", "test")])
def test_takes_of_a_split_with_a_place_of_its_own_are_to_train_on(
    digits: Path, own: tuple[str, ...]
) -> None:
    other = digits / "other"
    other.mkdir()
    tone(other / "7_george_7.wav")
    paths = {name: str(other) for name in own}
    data = Data(train=str(digits), valid=paths.get("valid"), test=paths.get("test"))
    held = {name: 1 if name in own else 30 for name in ("valid", "test")}
    assert {name: len(split(data, name)) for name in held} == held
    assert len(split(data, "train")) == 12 + 30 * len(own)


def test_a_table_is_cut_by_files_and_says_where_each_stands(tmp_path: Path) -> None:
    data = Data(path=str(table(tmp_path)))
    found = {name: split(data, name) for name in ("train", "valid", "test")}
    assert sorted(said.text for mine in found.values() for said in mine) == sorted(
        f"text {number}" for number in range(100)
    )
    assert all(2 < len(found[name]) < 25 for name in ("valid", "test"))
    (seven,) = [said for mine in found.values() for said in mine if said.text == "text 7"]
    assert seven.where == f"{tmp_path / 'speech.tsv'}, line 8: 7.wav"


def test_a_file_that_is_not_there_is_named_with_its_line(tmp_path: Path) -> None:
    file = table(tmp_path, 3)
    file.write_text("0.wav\tzero\n11.wav\televen\n")
    with pytest.raises(DataError) as caught:
        split(Data(train=str(file), valid=str(file), test=str(file)), "test")
    assert caught.value.message == f"{file}, line 2: 11.wav is not there"
    assert "1.wav" in caught.value.hint


@pytest.mark.parametrize("name", ["what is said " * 30, f"{'what is said ' * 30}/1.wav"])
def test_what_is_too_long_to_be_a_name_is_not_there(tmp_path: Path, name: str) -> None:
    file = tmp_path / "speech.tsv"
    file.write_text(f"{name}\t1.wav\n")
    with pytest.raises(DataError, match=r"speech\.tsv, line 1: .* is not there"):
        split(Data(train=str(file), valid=str(file), test=str(file)), "train")


def test_a_row_without_a_text_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "speech.tsv"
    file.write_text("0.wav\tzero\n1.wav\n")
    with pytest.raises(DataError, match=r"speech\.tsv, line 2: "):
        split(Data(path=str(file)), "train")


def test_a_name_that_tells_no_text_is_refused(digits: Path) -> None:
    (digits / "noise.wav").touch()
    with pytest.raises(DataError, match=r"noise\.wav: the name does not tell what is said"):
        split(Data(path=str(digits)), "train")


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no \.wav file for the test split"):
        split(Data(path=str(tmp_path)), "test")


# ── what is in them ──


def test_samples_are_between_minus_one_and_one(tmp_path: Path) -> None:
    heard = samples(tone(tmp_path / "a.wav"), 8000)
    assert heard.dtype == np.float32
    np.testing.assert_allclose(heard, TONE * 32000 / 32768, atol=1e-4)


def test_eight_bits_are_unsigned_and_silence_is_128(tmp_path: Path) -> None:
    heard = samples(write(tmp_path / "a.wav", bytes([128, 255, 0]), width=1), 8000)
    assert heard.tolist() == [0.0, 127 / 128, -1.0]


def test_two_channels_become_one(tmp_path: Path) -> None:
    content = np.array([[0, 16384], [-16384, -16384]], "<i2").tobytes()
    heard = samples(write(tmp_path / "a.wav", content, channels=2), 8000)
    assert heard.tolist() == [0.25, -0.5]


@pytest.mark.parametrize("rate", [4000, 16000, 11025])
def test_another_rate_is_resampled(tmp_path: Path, rate: int) -> None:
    file = tone(tmp_path / "a.wav")
    heard = samples(file, rate)
    assert len(heard) == length(file, rate)
    places = np.arange(50, len(heard) - 50)
    wanted = np.interp(places * 8000 / rate, np.arange(800), TONE)
    assert np.abs(heard[places] - wanted).max() < 0.05


def test_what_is_joined_is_one_after_another_and_the_same_each_time(tmp_path: Path) -> None:
    parts = [Recording(tone(tmp_path / f"{name}.wav"), name, name) for name in "ab"]
    spoken = Spoken(tuple(parts), (100, 0), 8000, (1.0, 1.25))
    assert spoken.text == "ab"
    assert len(spoken.sound()) == spoken.samples == 100 + 800 + 640
    np.testing.assert_allclose(spoken.sound()[900:1540:4], samples(parts[1].file, 8000)[::5])
    assert not spoken.sound()[:100].any()
    some = [joined(parts, (0, number), (2, 4), 8000) for number in range(50)]
    assert {len(said.text) for said in some} == {2, 3, 4}
    assert {gap for said in some for gap in said.gaps} <= set(range(800))
    assert some[7] == joined(parts, (0, 7), (2, 4), 8000)
    hurried = joined(parts, (0, 7), (2, 4), 8000, speed=0.1)
    assert all(speed != 1 and 0.9 <= speed <= 1.1 for speed in hurried.speeds)
    assert hurried.samples == len(hurried.sound())


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"words", "ends too early|does not start with RIFF"),
        (b"", "ends too early"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        samples(file, 8000)
    assert str(file) in caught.value.message
    assert "ffmpeg -i a.wav" in caught.value.hint


def test_other_depths_and_silence_of_no_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected 8 or 16 bit PCM, found 24 bit samples"):
        length(write(tmp_path / "a.wav", bytes(6), width=3), 8000)
    with pytest.raises(DataError, match="found no sound"):
        length(write(tmp_path / "b.wav", b""), 8000)


def test_a_recording_that_was_cut_short_is_refused(tmp_path: Path) -> None:
    file = tone(tmp_path / "a.wav")
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(DataError, match="has 1500 bytes of sound where its head says 1600"):
        samples(file, 8000)


def test_a_damaged_size_is_refused(tmp_path: Path) -> None:
    file = tone(tmp_path / "a.wav")
    content = bytearray(file.read_bytes())
    content[16:20] = (2000).to_bytes(4, "little")  # of its first part, more than the whole has
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.wav cannot be read as \.wav: it ends too early"):
        length(file, 8000)
