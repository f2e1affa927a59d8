from __future__ import annotations

import pytest
import sacrebleu

from turnaround.engine.bleu import Bleu, Chrf

GUESSES = ["Le chat dort.", "Elle est partie hier soir.", "Je vois un grand arbre.", ""]
TEXTS = ["Le chat dort.", "Elle partira demain soir.", "Je vois un arbre.", "Rien."]
OTHERS = ["Un chat dort.", "Elle est partie hier.", "Je vois un arbre qui est grand.", "Non."]


def test_scores_of_batches_add_up_to_what_sacrebleu_says_of_the_corpus() -> None:
    for tally, whole in (
        (Bleu, sacrebleu.corpus_bleu(GUESSES, [TEXTS])),
        (Chrf, sacrebleu.corpus_chrf(GUESSES, [TEXTS])),
    ):
        halves = tally.of(GUESSES[:1], TEXTS[:1]) + tally.of(GUESSES[1:], TEXTS[1:])
        assert halves.compute() == pytest.approx(whole.score)


def test_any_of_several_references_is_right() -> None:
    several = list(zip(TEXTS, OTHERS, strict=True))
    whole = sacrebleu.corpus_bleu(GUESSES, [TEXTS, OTHERS]).score
    halves = Bleu.of(GUESSES[:2], several[:2]) + Bleu.of(GUESSES[2:], several[2:])
    assert halves.compute() == pytest.approx(whole)


def test_an_example_may_have_fewer_references_than_its_neighbour() -> None:
    uneven = [[TEXTS[0]], [TEXTS[1], OTHERS[1]]]
    apart = Bleu.of(GUESSES[:1], uneven[:1]) + Bleu.of(GUESSES[1:2], uneven[1:])
    assert Bleu.of(GUESSES[:2], uneven).compute() == pytest.approx(apart.compute())
