"""Constituency trees: read from Penn brackets, written as one line of marks, and compared.

    tree = read(Path("wsj.mrg"))[0]
    tree.words, tree.tags           # ("He", "sleeps", "."), ("PRP", "VBZ", ".")
    tree.spans                      # (Span("ROOT", 0, 3), Span("S", 0, 3), Span("NP", 0, 1), …)
    line(tree)                      # "(ROOT (S (NP XX )NP (VP XX )VP XX )S )ROOT"
    spans(line(tree), count=3)      # tree.spans again; none of a line that is no tree
    agreement(tree, tree.spans)     # brackets that were found, guessed and true: (3, 3, 3)

A line stands for a tree as in Vinyals et al. (2014), without its words: XX is one of them. Labels
lose their functions (NP-SBJ is an NP) and traces go. Whatever an outermost bracket is called (ROOT,
TOP, S1 or nothing) it is `ROOT`, and one is added where there is none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from turnaround.corpora import text
from turnaround.errors import DataError

ROOT = "ROOT"
OUTERMOST = {ROOT, "TOP", "S1", ""}
WORD = "XX"
TRACE = "-NONE-"
SHOWN = 40  # characters of what is wrong
# As evalb's COLLINS.prm compares: punctuation is nowhere, and these two labels are one.
PUNCTUATION = {",", ":", "``", "''", "."}
SAME = {"PRT": "ADVP"}
# A no-break space and its kind are part of a word that has them inside (10 000), not of a label.
INSIDE = r"[^\S \t\n\r\f\v]+"
TOKEN = re.compile(rf"[()]|(?<=\()[^\s()]+|[^\s()]+(?:{INSIDE}[^\s()]+)*")


class Span(NamedTuple):
    """A labelled bracket around words `start` up to `end`."""

    label: str
    start: int
    end: int


class Tree(NamedTuple):
    """A sentence: its words, a tag for each, and its brackets, outer before inner."""

    words: tuple[str, ...]
    tags: tuple[str, ...]
    spans: tuple[Span, ...]


# ── files ──


@dataclass
class _Node:
    line: int
    label: str | None = None
    word: str | None = None
    children: list[_Node] = field(default_factory=list)


def read(path: Path) -> list[Tree]:
    """All trees of a file, over as many lines as each likes; those of nothing but traces go."""
    trees = [_tree(node) for node in _nodes(path, text.read(path))]
    if not any(tree.words for tree in trees):
        raise DataError(f"{path} holds no tree", "a tree is: (S (NP (PRP He)) (VP (VBZ sleeps)))")
    return [tree for tree in trees if tree.words]


def _nodes(path: Path, whole: str) -> Iterator[_Node]:
    """The outermost nodes."""
    open_: list[_Node] = []
    for number, token in _tokens(whole):
        if token == "(":
            node = _Node(number)
            if open_:
                open_[-1].children.append(node)
            open_.append(node)
        elif not open_:
            raise _wrong(path, number, f"{_shown(token)} is in no tree")
        elif token == ")":
            node = open_.pop()
            _check(path, number, node)
            if not open_:
                yield node
        else:
            _named(path, number, open_[-1], token)
    if open_:
        raise _wrong(path, open_[0].line, "the tree that begins here is never closed")


def _tokens(whole: str) -> Iterator[tuple[int, str]]:
    """Brackets and what is between them, each with the number of its line."""
    for number, row in enumerate(whole.split("\n"), start=1):
        yield from ((number, token) for token in TOKEN.findall(row))


def typed(sentence: str) -> list[str]:
    """Its words, as in a file of trees."""
    return re.findall(rf"\S+(?:{INSIDE}\S+)*", sentence)


def _named(path: Path, line: int, node: _Node, token: str) -> None:
    """Take the token for the node's label, else for its word."""
    if node.label is None and not node.children:
        node.label = token
    elif node.word is None and not node.children:
        node.word = token
    else:
        raise _wrong(path, line, f"{_shown(token)} has no tag of its own")


def _check(path: Path, line: int, node: _Node) -> None:
    if node.word is None and not node.children:
        raise _wrong(path, line, f"({node.label or ''}) has nothing in it")
    if node.word is not None and node.children:
        raise _wrong(path, line, f"{_shown(node.word)} has no tag of its own")


def _shown(token: str) -> str:
    return repr(token[:SHOWN])


def _wrong(path: Path, line: int, found: str) -> DataError:
    hint = "a tree is: (S (NP (PRP He)) (VP (VBZ sleeps)))"
    return DataError(f"{path}, line {line}: {found}", hint)


def _tree(node: _Node) -> Tree:
    outer = [node] if (node.label or "") in OUTERMOST and node.word is None else []
    root = _Node(node.line, ROOT, None, outer[0].children if outer else [node])
    words: list[str] = []
    tags: list[str] = []
    brackets: list[Span] = []
    _gather(root, words, tags, brackets)
    return Tree(tuple(words), tuple(tags), tuple(brackets))


def _gather(node: _Node, words: list[str], tags: list[str], brackets: list[Span]) -> None:
    label = node.label or ""
    if node.word is not None:
        if label != TRACE:
            words.append(node.word)
            tags.append(label)
        return
    start, place = len(words), len(brackets)
    brackets.append(Span("", start, start))
    for child in node.children:
        _gather(child, words, tags, brackets)
    if len(words) > start:
        brackets[place] = Span(re.split(r"(?<=.)[-=]", label)[0], start, len(words))
    else:
        del brackets[place:]  # traces and nothing else


# ── lines ──


def line(tree: Tree) -> str:
    """The brackets in the order of reading, with their labels at both ends, and XX for words."""
    marks: list[str] = []
    ahead, inside = list(tree.spans[::-1]), list[Span]()
    for place in range(len(tree.words)):
        while ahead and ahead[-1].start == place:
            inside.append(ahead.pop())
            marks.append(f"({inside[-1].label}")
        marks.append(WORD)
        while inside and inside[-1].end == place + 1:
            marks.append(f"){inside.pop().label}")
    return " ".join(marks)


def spans(written: str, count: int) -> tuple[Span, ...] | None:
    """The brackets of a line about `count` words; none when it is no tree of so many."""
    found: list[Span] = []
    inside: list[int] = []  # places in `found`
    words = 0
    for mark in written.split():
        if mark.startswith("("):
            if found and not inside:
                return None  # a second tree
            inside.append(len(found))
            found.append(Span(mark[1:], words, words))
        elif not inside:
            return None
        elif mark == WORD:
            words += 1
        else:
            place = inside.pop()
            if mark != f"){found[place].label}" or found[place].start == words:
                return None
            found[place] = found[place]._replace(end=words)
    whole = bool(found) and found[0].label == ROOT and not inside and words == count
    return tuple(found) if whole else None


def shown(written: str, words: Iterable[str]) -> str:
    """A line with its words in it, and no labels where brackets end: Penn brackets without tags."""
    left = iter(words)
    marks = [next(left, WORD) if mark == WORD else mark for mark in written.split()]
    return " ".join(")" if mark.startswith(")") else mark for mark in marks).replace(" )", ")")


# ── scores ──


def agreement(tree: Tree, guess: Iterable[Span]) -> tuple[int, int, int]:
    """How many brackets the guess has found, has guessed, and should have: evalb's counts."""
    true, guessed = _brackets(tree.spans, tree.tags), _brackets(guess, tree.tags)
    return (true & guessed).total(), guessed.total(), true.total()


def _brackets(given: Iterable[Span], tags: tuple[str, ...]) -> Counter[Span]:
    """Without the root, and with places that punctuation has no part in."""
    places = [0]
    for tag in tags:
        places.append(places[-1] + (tag not in PUNCTUATION))
    moved = (
        Span(SAME.get(label, label), places[start], places[end])
        for label, start, end in given
        if label != ROOT
    )
    return Counter(span for span in moved if span.start < span.end)
