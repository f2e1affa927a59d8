from __future__ import annotations

import pytest

from turnaround.corpora.french import Agreement
from turnaround.corpora.lexicon import KINDS, adjectives, nouns, verbs

HE, SHE, THEY = Agreement(), Agreement(feminine=True), Agreement(plural=True)
ME, WE, YOU = Agreement(1), Agreement(1, plural=True), Agreement(2)


@pytest.mark.parametrize(
    ("base", "tense", "who", "french"),
    [
        ("love", "present", ME, ("aime", "")),
        ("eat", "present", WE, ("mangeons", "")),
        ("buy", "present", HE, ("achète", "")),
        ("buy", "present", YOU, ("achetez", "")),
        ("buy", "future", HE, ("achètera", "")),
        ("call", "present", THEY, ("appellent", "")),
        ("call", "future", ME, ("appellerai", "")),
        ("see", "future", THEY, ("verront", "")),
        ("write", "past", WE, ("avons", "écrit")),
        ("leave", "past", SHE, ("est", "parti")),
        ("go to", "future", YOU, ("irez", "")),
    ],
)
def test_a_french_verb_is_conjugated(
    base: str, tense: str, who: Agreement, french: tuple[str, str]
) -> None:
    (verb,) = [verb for verb in verbs() if verb.base == base]
    assert verb.french(tense, who) == french


@pytest.mark.parametrize(
    ("tense", "middle", "asked", "english"),
    [
        ("present", "", False, ("", "sells")),
        ("present", "not", False, ("does", "not sell")),
        ("present", "never", False, ("", "never sells")),
        ("present", "", True, ("does", "sell")),
        ("progressive", "not", False, ("is", "not selling")),
        ("past", "", False, ("", "sold")),
        ("past", "not", False, ("did", "not sell")),
        ("past", "", True, ("did", "sell")),
        ("future", "never", False, ("will", "never sell")),
    ],
)
def test_an_english_verb_gets_its_auxiliary(
    tense: str, middle: str, asked: bool, english: tuple[str, str]
) -> None:
    (verb,) = [verb for verb in verbs() if verb.base == "sell"]
    assert verb.english(tense, HE, middle, asked) == english


def test_an_adjective_agrees() -> None:
    (old,) = [adjective for adjective in adjectives("person") if adjective.english == "old"]
    many = [old.french(who) for who in (HE, SHE, THEY, Agreement(3, True, True))]
    assert [*many, old.before_vowel] == ["vieux", "vieille", "vieux", "vieilles", "vieil"]


def test_every_kind_of_noun_has_adjectives_and_somebody_who_does_something_with_it() -> None:
    for kind in KINDS:
        assert nouns(kind)
        assert adjectives(kind)
        assert verbs(takes=kind)


def test_no_word_is_in_two_rows() -> None:
    for words in (
        [noun.singular[0] for noun in nouns(*KINDS)],
        [noun.singular[1] for noun in nouns(*KINDS)],
        [verb.base for verb in verbs()],
        [(verb.present[0], verb.link) for verb in verbs()],
    ):
        assert len(words) == len(set(words))
