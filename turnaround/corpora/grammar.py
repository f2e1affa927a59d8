"""The grammar of the generated English-French corpus: one sentence at random, said in both.

grammar = Grammar(random.Random(0))
grammar.sentence()      # ("Our sister is not happy.", "Notre sœur n'est pas heureuse.")
grammar.pairs           # {"happy sister"}: the words it has put together
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import NamedTuple

from turnaround.corpora.french import ETAIT, ETRE, SERA, Agreement, agree, spell, starts_with_vowel
from turnaround.corpora.lexicon import (
    BEINGS,
    KINDS,
    Adjective,
    Noun,
    Verb,
    adjectives,
    be,
    nouns,
    verbs,
)

THIN_SPACE = "\u202f"  # French sets one before a question mark


class Phrase(NamedTuple):
    """Words of both languages, the French ones not yet spelled together."""

    english: str = ""
    french: tuple[str, ...] = ()
    agreement: Agreement = Agreement()
    noun: Noun | None = None  # its main word


class Middle(NamedTuple):
    """What English sets before the main verb and French after the finite one."""

    english: str = ""
    french: tuple[str, ...] = ()
    negative: bool = False


class Object(NamedTuple):
    """An object: a phrase after the verb, or in French a pronoun before it."""

    phrase: Phrase = Phrase()
    pronoun: tuple[str, ...] = ()
    agrees: Agreement | None = None  # with what the participle agrees


class Pronoun(NamedTuple):
    """A personal pronoun as subject, as object and as object of à."""

    subject: str
    object: str
    french: str
    direct: str
    indirect: str
    agreement: Agreement


PRONOUNS = (
    Pronoun("I", "me", "je", "me", "me", Agreement(1)),
    Pronoun("we", "us", "nous", "nous", "nous", Agreement(1, plural=True)),
    Pronoun("you", "you", "vous", "vous", "vous", Agreement(2)),
    Pronoun("he", "him", "il", "le", "lui", Agreement(3)),
    Pronoun("she", "her", "elle", "la", "lui", Agreement(3, feminine=True)),
    Pronoun("they", "them", "ils", "les", "leur", Agreement(3, plural=True)),
)
NEGATIONS = (
    Middle("not", ("pas",), True),
    Middle("never", ("jamais",), True),
    Middle("no longer", ("plus",), True),
)
ADVERBS = (Middle("often", ("souvent",)), Middle("always", ("toujours",)))
SINGULAR = {
    "the": ("le", "la"),
    "a": ("un", "une"),
    "this": ("ce", "cette"),
    "every": ("chaque", "chaque"),
    "my": ("mon", "ma"),
    "her": ("son", "sa"),
    "our": ("notre", "notre"),
    "your": ("votre", "votre"),
    "their": ("leur", "leur"),
}
PLURAL = {
    "the": "les",
    "some": "des",  # de after a negation and before an adjective
    "these": "ces",
    "two": "deux",
    "three": "trois",
    "many": "beaucoup de",
    "my": "mes",
    "her": "ses",
    "our": "nos",
    "your": "vos",
    "their": "leurs",
}
BEFORE_VOWEL = {"ma": "mon", "sa": "son", "ce": "cet"}
PLACES = {"in": "dans", "behind": "derrière", "in front of": "devant", "near": "près de"}
TIMES = {
    "present": {"today": "aujourd'hui", "every day": "tous les jours"},
    "progressive": {"today": "aujourd'hui", "now": "maintenant"},
    "past": {"yesterday": "hier", "last night": "hier soir"},
    "future": {"tomorrow": "demain", "soon": "bientôt"},
}
LINKS = {"and": "et", ", but": ", mais", "because": "parce que", "while": "pendant que"}
QUESTIONS = {"": "est-ce que", "why": "pourquoi est-ce que", "when": "quand est-ce que"}


class Grammar:
    """Says one sentence at random, and remembers which words it has put together."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pairs: set[str] = set()

    def sentence(self, clauses: int = 1) -> tuple[str, str]:
        """A sentence in English and in French; one of a single clause may be a question."""
        if clauses == 1 and self.chance(0.15):
            word = self.pick(QUESTIONS)
            part = self.clause(asked=True)
            french = spell((*QUESTIONS[word].split(), *part.french))
            return _upper(_join(word, part.english)) + "?", _upper(french) + THIN_SPACE + "?"
        whole = self.clause()
        for _ in range(clauses - 1):
            link, part = self.pick(LINKS), self.clause()
            both = (*whole.french, *LINKS[link].split(), *part.french)
            whole = Phrase(_join(whole.english, link, part.english).replace(" ,", ","), both)
        return _upper(whole.english) + ".", _upper(spell(whole.french)) + "."

    def clause(self, asked: bool = False) -> Phrase:
        """Somebody does something, or something is somehow."""
        if self.chance(0.2):
            return self.description(self.subject(KINDS), asked)
        subject = self.subject(BEINGS)
        return self.predicate(subject, self.verb(subject), asked)

    def subject(self, kinds: tuple[str, ...]) -> Phrase:
        """Who or what."""
        if self.chance(0.3):
            pronoun = self.rng.choice(PRONOUNS)
            return Phrase(pronoun.subject, (pronoun.french,), pronoun.agreement)
        phrase = self.noun_phrase(kinds)
        return self.relative(phrase) if self.chance(0.1) else phrase

    def description(self, subject: Phrase, asked: bool) -> Phrase:
        """Something is, was or will be somehow."""
        tense, who = self.pick(("present", "past", "future")), subject.agreement
        adjective = self.adjective(subject.noun.kind if subject.noun else "person", predicate=True)
        self.join(adjective.english, subject.noun)
        middle = Middle() if asked else self.middle((*NEGATIONS, *ADVERBS))
        auxiliary = "will" if tense == "future" else be(tense, who)
        front = (auxiliary, subject.english) if asked else (subject.english, auxiliary)
        quality = _join("be" * (tense == "future"), adjective.english)
        finite = {"present": ETRE, "past": ETAIT, "future": SERA}[tense][who.row]
        verb = (*("ne",) * middle.negative, finite, *middle.french)
        french = (*subject.french, *verb, adjective.french(who))
        return Phrase(_join(*front, middle.english, quality), french, who)

    def predicate(self, subject: Phrase, verb: Verb, asked: bool, alone: bool = False) -> Phrase:
        """The subject, its verb, what it takes and, unless it is `alone`, where or when."""
        tense, who = self.tense(verb), subject.agreement
        fits = NEGATIONS[::2] if tense == "progressive" else (*NEGATIONS, *ADVERBS)
        middle = Middle() if asked else self.middle(fits)
        thing = self.object(verb, who, middle.negative)
        circumstance = Phrase() if alone else self.circumstance(tense, verb)
        auxiliary, rest = verb.english(tense, who, middle.english, asked)
        front = (auxiliary, subject.english) if asked else (subject.english, auxiliary)
        finite, participle = verb.french(tense, who)
        done = (agree(participle, who if verb.being else thing.agrees),) if participle else ()
        said = (*("ne",) * middle.negative, *thing.pronoun, finite, *middle.french)
        french = (*subject.french, *said, *done, *thing.phrase.french)
        english = _join(*front, rest, thing.phrase.english, circumstance.english)
        return Phrase(english, (*french, *circumstance.french), who)

    def object(self, verb: Verb, who: Agreement, negative: bool) -> Object:
        """What a verb takes."""
        if not verb.takes:
            return Object()
        if "person" in verb.takes and verb.link != "de" and self.chance(0.3):
            others = [p for p in PRONOUNS if who.person == 3 or p.agreement.person != who.person]
            pronoun = self.rng.choice(others)
            if verb.link:
                return Object(Phrase(pronoun.object), (pronoun.indirect,))
            return Object(Phrase(pronoun.object), (pronoun.direct,), pronoun.agreement)
        phrase = self.noun_phrase(verb.takes, negative=negative and not verb.link)
        self.join(verb.base, phrase.noun)
        phrase = phrase._replace(french=(*verb.link.split(), *phrase.french))
        return Object(self.relative(phrase) if self.chance(0.1) else phrase)

    def noun_phrase(self, kinds: tuple[str, ...], negative: bool = False) -> Phrase:
        """A determiner and a noun of one of the kinds, with an adjective or an owner."""
        noun = self.rng.choice(nouns(*kinds))
        who = Agreement(3, self.chance(0.35), noun.feminine)
        if noun.kind != "place" and self.chance(0.1):
            return self.possession(noun, who)
        determiner = self.pick(PLURAL if who.plural else SINGULAR)
        adjective = self.adjective(noun.kind) if self.chance(0.4) else None
        if adjective:
            self.join(adjective.english, noun)
        named = _join(adjective.english if adjective else "", noun.english(who))
        french = _determined(determiner, who, noun, adjective, negative)
        return Phrase(_article(determiner, named, negative), french, who, noun)

    def possession(self, noun: Noun, who: Agreement) -> Phrase:
        """The king's cat: in French the cat of the king."""
        owner = self.rng.choice(nouns("person"))
        owners = Agreement(3, self.chance(0.3), owner.feminine)
        determiner = self.pick(("the", "my", "our"))
        name = owner.english(owners)
        name += "'" if name.endswith("s") else "'s"
        english = _join(determiner, name, noun.english(who))
        french = _determined("the", who, noun, None, False)
        whose = _determined(determiner, owners, owner, None, False)
        return Phrase(english, (*french, "de", *whose), who, noun)

    def relative(self, phrase: Phrase) -> Phrase:
        """The phrase and a clause about it: … that sleeps, … that the king saw."""
        assert phrase.noun
        kind, who = phrase.noun.kind, phrase.agreement
        if kind in BEINGS and self.chance(0.5):
            bare = phrase._replace(english="", french=())
            said = self.predicate(bare, self.verb(phrase), asked=False, alone=True)
            pronoun = "who" if kind == "person" else "that"
            english, french = _join(pronoun, said.english), ("qui", *said.french)
        else:
            english, french = self.suffered(phrase.noun, who)
        return Phrase(_join(phrase.english, english), phrase.french + french, who, phrase.noun)

    def suffered(self, noun: Noun, who: Agreement) -> tuple[str, tuple[str, ...]]:
        """A clause that says what somebody does or did with it: … that the king saw."""
        subject = self.noun_phrase(("person",))
        verb, tense = self.verb(subject, takes=noun.kind), self.pick(("present", "past"))
        self.join(verb.base, noun)
        _, english = verb.english(tense, subject.agreement, "", False)
        finite, participle = verb.french(tense, subject.agreement)
        done = (agree(participle, who),) if participle else ()
        return _join("that", subject.english, english), ("que", *subject.french, finite, *done)

    def verb(self, subject: Phrase, takes: str = "") -> Verb:
        """A verb that such a subject can have, and one with that kind of direct object if asked."""
        animal = subject.noun is not None and subject.noun.kind == "animal"
        verb = self.rng.choice(verbs(animal, takes))
        self.join(verb.base, subject.noun)
        return verb

    def circumstance(self, tense: str, verb: Verb) -> Phrase:
        """Where, when, or nothing."""
        if "place" not in verb.takes and self.chance(0.2):
            place = self.pick(PLACES)
            where = self.noun_phrase(("place",))
            return Phrase(_join(place, where.english), (*PLACES[place].split(), *where.french))
        if self.chance(0.2):
            time = self.pick(TIMES[tense])
            return Phrase(time, tuple(TIMES[tense][time].split()))
        return Phrase()

    def tense(self, verb: Verb) -> str:
        """A tense that the verb has in English."""
        tense = self.pick(TIMES)
        return tense if verb.gerund or tense != "progressive" else "present"

    def middle(self, fits: tuple[Middle, ...]) -> Middle:
        """Mostly nothing, else a negation or an adverb."""
        return self.rng.choice(fits) if self.chance(0.35) else Middle()

    def adjective(self, kind: str, predicate: bool = False) -> Adjective:
        """An adjective for nouns of that kind; nothing *is* other."""
        fits = adjectives(kind)
        return self.rng.choice([a for a in fits if a.english != "other"] if predicate else fits)

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self.rng.random() < share

    def pick(self, words: Iterable[str]) -> str:
        """One of the words."""
        return self.rng.choice(list(words))

    def join(self, word: str, noun: Noun | None) -> None:
        """Remember that this word was put together with that noun."""
        if noun:
            self.pairs.add(f"{word} {noun.singular[0]}")


def _determined(
    determiner: str, who: Agreement, noun: Noun, adjective: Adjective | None, negative: bool
) -> tuple[str, ...]:
    """Determiner, noun and adjective in French, in their order."""
    words = [noun.french(who)]
    if adjective and adjective.first:
        bends = not who.plural and not who.feminine and starts_with_vowel(words[0])
        words.insert(0, adjective.before_vowel if bends else adjective.french(who))
    elif adjective:
        words.append(adjective.french(who))
    french = PLURAL[determiner] if who.plural else SINGULAR[determiner][who.feminine]
    before = adjective is not None and adjective.first
    if (negative and determiner in ("a", "some")) or (before and determiner == "some"):
        french = "de"
    elif starts_with_vowel(words[0]):
        french = BEFORE_VOWEL.get(french, french)
    return (*french.split(), *words)


def _article(determiner: str, named: str, negative: bool) -> str:
    """The English determiner before what it determines."""
    if determiner == "some" and negative:
        return f"any {named}"
    if determiner == "a" and named.startswith("other "):
        return f"an{named}"
    if determiner == "a" and named[0] in "aeiouI":
        return f"an {named}"
    return f"{determiner} {named}"


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
