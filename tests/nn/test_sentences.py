from __future__ import annotations

import torch

from turnaround.nn.sentences import (
    END,
    PAD,
    SPEAKERS,
    SPECIAL,
    START,
    UNKNOWN,
    encoded,
    joined,
    prefix,
    spaced,
    subwords,
    turns,
    words,
)

TEXTS = ["Le chat dort.", "L'ami du chat dort."] * 3


def test_the_prefix_is_all_that_was_written_before() -> None:
    targets = torch.tensor([[5, 6, 7, END], [8, END, PAD, PAD]])
    assert prefix(targets).tolist() == [[START, 5, 6, 7], [START, 8, PAD, PAD]]


def test_there_is_a_place_to_predict_from_for_every_target() -> None:
    targets = torch.tensor([[5, 6, END, PAD], [8, END, PAD, PAD], [END, PAD, PAD, PAD]])
    assert (prefix(targets) != PAD).tolist() == (targets != PAD).tolist()


def test_a_text_is_its_tokens_joined() -> None:
    for learn in (words, subwords):
        tokenizer = learn(TEXTS, most=400, least=1)
        tokens = encoded(tokenizer, TEXTS[1])
        assert tokens[-1] == END
        assert tokenizer.decode(tokens[:-1].tolist()) == TEXTS[1]


def test_a_word_spelled_as_a_special_token_is_unknown() -> None:
    texts = [joined(["the", word, "sleeps"]) for word in SPECIAL for _ in range(3)]
    tokenizer = spaced(["the <pad> <unk> sleeps", *texts], most=400, least=1)
    tokenizer.encode_special_tokens = True  # as a recipe keeps it
    tokens = torch.stack([encoded(tokenizer, text) for text in texts])
    assert set(tokens[:, 1].tolist()) == {UNKNOWN}
    assert int(tokens.max()) < tokenizer.get_vocab_size()


def test_a_word_that_was_not_seen_is_unknown_but_its_bytes_are_not() -> None:
    text = "Le lion dort."
    assert words(TEXTS, 400, 1).decode(encoded(words(TEXTS, 400, 1), text).tolist()) != text
    assert subwords(TEXTS, 400, 1).decode(encoded(subwords(TEXTS, 400, 1), text).tolist()) == text


def test_speakers_come_after_the_words() -> None:
    known, spoken = words(TEXTS, 400, 1), turns(TEXTS, 400, 1)
    assert {**known.get_vocab(), **dict.fromkeys(SPEAKERS)}.keys() == spoken.get_vocab().keys()
    assert [spoken.token_to_id(name) for name in SPEAKERS] == [
        known.get_vocab_size(),
        known.get_vocab_size() + 1,
    ]
