from __future__ import annotations

import itertools
from collections import Counter

import numpy as np

from turnaround.corpora.sounds import FORMANTS, LONGEST, RATE, SHORTEST, draw

SOME = [draw((0, number), (3, 8)) for number in range(200)]


def test_an_utterance_is_the_same_each_time() -> None:
    one, other = draw((0, 7), (3, 8)), draw((0, 7), (3, 8))
    assert one == other
    np.testing.assert_array_equal(one.sound(), other.sound())


def test_splits_and_numbers_differ() -> None:
    assert (
        len({draw((split, number), (3, 8)).text for split in range(3) for number in range(9)}) > 20
    )


def test_texts_are_of_all_symbols_and_as_long_as_was_asked() -> None:
    assert {len(said.text) for said in SOME} == set(range(3, 9))
    counts = Counter("".join(said.text for said in SOME))
    assert set(counts) == set(FORMANTS)
    assert max(counts.values()) < 1.5 * min(counts.values())


def test_some_symbols_follow_themselves() -> None:
    assert any(one == other for said in SOME for one, other in itertools.pairwise(said.text))


def test_the_sound_is_as_long_as_its_symbols() -> None:
    for said in SOME[:10]:
        sound = said.sound()
        assert sound.dtype == np.float32
        assert len(sound) == said.samples == sum(said.durations)
        assert all(SHORTEST <= samples <= LONGEST for samples in said.durations)


def test_a_symbol_sounds_at_its_formants() -> None:
    vowel = draw((0, 0), (1, 1))
    heard = np.abs(np.fft.rfft(vowel.sound()))
    pitch = np.fft.rfftfreq(vowel.samples, 1 / RATE)
    loudest = pitch[heard.argmax()]
    assert min(abs(loudest / formant - 1) for formant in FORMANTS[vowel.text]) < 0.07
