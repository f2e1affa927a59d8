from __future__ import annotations

import pytest

from turnaround.corpora.french import Agreement, agree, spell, starts_with_vowel


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ("le arbre", "l'arbre"),
        ("la hôtel", "l'hôtel"),
        ("le hibou", "le hibou"),
        ("je ne aime pas le héros", "je n'aime pas le héros"),
        ("parle de le roi", "parle du roi"),
        ("parle de le oiseau", "parle de l'oiseau"),
        ("parle de les amis", "parle des amis"),
        ("parle de des amis", "parle d'amis"),
        ("parle à la reine", "parle à la reine"),
        ("parle à le roi", "parle au roi"),
        ("parle à les rois", "parle aux rois"),
        ("est-ce que elle me écoute", "est-ce qu'elle m'écoute"),
        ("il dort , mais elle chante", "il dort, mais elle chante"),
        ("beaucoup de autres œufs", "beaucoup d'autres œufs"),
    ],
)
def test_words_are_elided_and_contracted(words: str, written: str) -> None:
    assert spell(words.split()) == written


def test_an_aspirated_h_keeps_the_vowel_before_it() -> None:
    assert [starts_with_vowel(word) for word in ("huître", "hérisson", "île", "roi")] == [
        True,
        False,
        True,
        False,
    ]


def test_a_participle_agrees_in_gender_and_number() -> None:
    assert agree("vu", None) == "vu"
    assert agree("vu", Agreement(feminine=True)) == "vue"
    assert agree("vu", Agreement(plural=True)) == "vus"
    assert agree("vu", Agreement(plural=True, feminine=True)) == "vues"
