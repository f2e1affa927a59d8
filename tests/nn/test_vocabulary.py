from __future__ import annotations

import pytest
from tokenizers import Tokenizer

from turnaround.nn.vocabulary import UNKNOWN, characters, encoded, fingerprint, pieces, sizes

TEXT = "Ça alors\u202f! J'ai vu\t1 234 œufs…\r\n\n«\u00a0L’été\u00a0» 🙂\nthe end, the end, the end"


@pytest.mark.parametrize(
    "tokenizer", [characters(TEXT), pieces(TEXT, 300)], ids=["characters", "pieces"]
)
def test_the_tokens_of_a_text_joined_are_the_text(tokenizer: Tokenizer) -> None:
    numbers = encoded(tokenizer, TEXT)
    assert tokenizer.decode(numbers.tolist()) == TEXT
    assert sizes(tokenizer)[numbers].sum() == len(TEXT.encode())
    assert numbers.tolist() == tokenizer.encode(TEXT).ids
    again = Tokenizer.from_str(tokenizer.to_str())
    assert fingerprint(again) == fingerprint(tokenizer)
    assert sizes(again).tolist() == sizes(tokenizer).tolist()


def test_each_character_is_a_token() -> None:
    assert len(encoded(characters(TEXT), TEXT)) == len(TEXT)
    assert characters("abab").get_vocab() == {UNKNOWN: 0, "a": 1, "b": 2}


def test_an_unknown_character_is_one_token() -> None:
    tokenizer = characters("ab")
    assert encoded(tokenizer, "aéb").tolist() == [1, 0, 2]
    assert tokenizer.decode([1, 0, 2]) == f"a{UNKNOWN}b"
    assert encoded(characters(f"a{UNKNOWN}"), f"{UNKNOWN}a").tolist() == [0, 1]


def test_pieces_know_every_byte_and_merge_what_is_frequent() -> None:
    few, more = pieces("abc " * 99, 10), pieces("abc " * 99, 300)
    assert few.get_vocab_size() == 256
    assert len(encoded(few, "Ὀδύσσεια 🙂")) == len("Ὀδύσσεια 🙂".encode())
    assert len(encoded(more, "abc abc")) == 2


def test_different_vocabularies_have_different_fingerprints() -> None:
    assert fingerprint(characters("abc")) != fingerprint(characters("abd"))
