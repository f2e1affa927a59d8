"""English-French sentences from a small grammar, generated: any number of them, always the same.

    examples("train", count=20_000)[0]   # Pair("The old king sees her.", "Le vieux roi la voit.")

French agrees in gender, number and person (also the participle with an object before it: les
pommes que le roi a mangées), elides (l'autre hôtel, d'autres amis, qu'elle), contracts (du, aux),
bends before vowels (un bel arbre, mon amie), moves its pronouns before the verb and its negation
around it. Each English sentence has one translation, so that a perfect model reaches BLEU 100.

Validation and test are about combinations nobody has shown: one pair of words in twelve (an
adjective and its noun, a verb and its subject or object) is kept out of training, and every
validation or test sentence holds at least one such pair.
"""

from __future__ import annotations

import random
import zlib
from typing import NamedTuple

from turnaround.corpora.lexicon import (
    ETAIT,
    ETRE,
    SERA,
    Adjective,
    Agreement,
    Noun,
    Verb,
    adjectives,
    nouns,
    starts_with_vowel,
    verbs,
)
from turnaround.corpora.pairs import Pair

HELD_OUT = 12  # one pair of words in so many is never seen in training
SOME = "des"  # gives way to de after a negation and before an adjective
BEINGS = "person animal"
THIN_SPACE = "\u202f"  # French sets one before a question mark


class Phrase(NamedTuple):
    """Words of both languages, the French ones not yet elided."""

    english: str
    french: list[str]
    agreement: Agreement = Agreement()
    head: str = ""  # its main word in English


class Middle(NamedTuple):
    """What stands around or after the finite verb."""

    english: str = ""
    french: str = ""
    negative: bool = False


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
MIDDLES = (
    Middle("not", "pas", True),
    Middle("never", "jamais", True),
    Middle("no longer", "plus", True),
    Middle("often", "souvent"),
    Middle("always", "toujours"),
)
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
    "some": SOME,
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
PLACES = {
    "in": "dans",
    "behind": "derrière",
    "in front of": "devant",
    "near": "près de",
    "without leaving": "sans quitter",
}
TIMES = {
    "present": {"today": "aujourd'hui", "every day": "tous les jours"},
    "progressive": {"now": "maintenant", "today": "aujourd'hui"},
    "past": {"yesterday": "hier", "last night": "hier soir"},
    "future": {"tomorrow": "demain", "soon": "bientôt"},
}
LINKS = {
    "and": "et",
    ", but": ", mais",
    "because": "parce que",
    "while": "pendant que",
    "whereas": "alors que",
}
QUESTIONS = {"": "est-ce que", "why": "pourquoi est-ce que", "when": "quand est-ce que"}


def examples(split: str, count: int, seed: int = 0, clauses: int = 1) -> list[Pair]:
    """`count` distinct sentences of `train`, `valid` or `test`, of so many clauses each."""
    rng = random.Random(f"{seed} {split}")
    found: dict[str, str] = {}
    while len(found) < count:
        grammar = Grammar(rng)
        english, french = grammar.sentence(clauses)
        if _split(english, grammar.pairs) == split:
            found[english] = french
    return [Pair(english, french) for english, french in found.items()]


def _split(english: str, pairs: set[str]) -> str:
    """The split a sentence belongs to."""
    if not any(zlib.crc32(pair.encode()) % HELD_OUT == 0 for pair in pairs):
        return "train"
    return "test" if zlib.crc32(english.encode()) % 2 else "valid"


class Grammar:
    """Says one sentence at random, and remembers which words it has put together."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pairs: set[str] = set()

    def sentence(self, clauses: int = 1) -> tuple[str, str]:
        """A sentence of both languages, with its capital and its full stop."""
        if clauses == 1 and self.chance(0.15):
            english, french = self.question()
            return _upper(english) + "?", _upper(spell(french)) + THIN_SPACE + "?"
        parts = [self.clause() for _ in range(clauses)]
        english, french = parts[0].english, parts[0].french
        for part in parts[1:]:
            link = self.pick(LINKS)
            english += ("" if link[0] == "," else " ") + f"{link} {part.english}"
            french = [*french, *LINKS[link].split(), *part.french]
        return _upper(english) + ".", _upper(spell(french)) + "."

    def question(self) -> tuple[str, list[str]]:
        """A question, without its mark."""
        word = self.pick(QUESTIONS)
        part = self.clause(asked=True)
        return f"{word} {part.english}".strip(), [*QUESTIONS[word].split(), *part.french]

    def clause(self, asked: bool = False) -> Phrase:
        """A subject and what is said of it."""
        if self.chance(0.2):
            return self.description(asked)
        subject = self.subject()
        return self.predicate(subject, self.verb(subject), asked)

    def subject(self) -> Phrase:
        """Who does it."""
        if self.chance(0.3):
            pronoun = self.rng.choice(PRONOUNS)
            return Phrase(pronoun.subject, [pronoun.french], pronoun.agreement)
        return self.noun_phrase(BEINGS, relative=self.chance(0.15))

    def verb(self, subject: Phrase, takes: str = "") -> Verb:
        """A verb that this subject can have, and that takes such an object."""
        animal = any(subject.head == noun.english and noun.kind == "animal" for noun in nouns())
        fits = [v for v in verbs() if (v.animals or not animal) and (not takes or takes in v.takes)]
        verb = self.rng.choice([v for v in fits if not v.link] if takes else fits)
        self.join(subject.head, verb.base)
        return verb

    def description(self, asked: bool) -> Phrase:
        """Somebody or something is, was or will be so."""
        tense = self.pick({"present": (), "past": (), "future": ()})
        being = self.chance(0.6)
        subject = self.subject() if being else self.noun_phrase("food text place thing animal")
        adjective = self.adjective(BEINGS if being else "thing", predicate=True)
        self.join(adjective.english, subject.head)
        middle = self.middle(asked, "never" if asked else "")
        who = subject.agreement
        be = {"present": ETRE, "past": ETAIT, "future": SERA}[tense][who.row]
        very = not middle.negative and self.chance(0.3)
        french = [*["ne"] * middle.negative, be, *middle.french.split(), *["très"] * very]
        auxiliary = "will" if tense == "future" else _be(tense, who)
        rest = [middle.english, "be" * (tense == "future"), "very" * very, adjective.english]
        english = [auxiliary, subject.english] if asked else [subject.english, auxiliary]
        return Phrase(_join(*english, *rest), [*subject.french, *french, adjective.french(who)], who)

    def predicate(self, subject: Phrase, verb: Verb, asked: bool) -> Phrase:
        """The subject, its verb, an object where the verb takes one, and where or when."""
        tense = self.tense(verb)
        middle = self.middle(asked, "never always often" if tense == "progressive" else "")
        who = subject.agreement
        thing, clitic, preceding = self.object(verb, subject, middle.negative)
        finite, participle = verb.french(tense, who)
        if participle:
            participle = agree(participle, who if verb.being else preceding)
        french = [*["ne"] * middle.negative, *clitic, finite, *middle.french.split(), participle]
        circumstance = self.circumstance(tense, verb)
        english = _verb_group(verb, tense, who, middle.english, asked)
        first = [english[0], subject.english] if asked else [subject.english, english[0]]
        return Phrase(
            _join(*first, english[1], thing.english, circumstance.english),
            [*subject.french, *filter(None, french), *thing.french, *circumstance.french],
            who,
        )

    def object(
        self, verb: Verb, subject: Phrase, negative: bool
    ) -> tuple[Phrase, list[str], Agreement | None]:
        """The object; the pronoun before the verb when it is one; what a participle agrees with."""
        if not verb.takes:
            return Phrase("", []), [], None
        if "person" in verb.takes and verb.link != "de" and self.chance(0.3):
            others = [p for p in PRONOUNS if p.agreement.person != subject.agreement.person]
            pronoun = self.rng.choice(others if subject.agreement.person != 3 else PRONOUNS)
            word, preceding = (
                (pronoun.indirect, None) if verb.link else (pronoun.direct, pronoun.agreement)
            )
            return Phrase(pronoun.object, []), [word], preceding
        phrase = self.noun_phrase(
            verb.takes, negative=negative and not verb.link, relative=self.chance(0.1)
        )
        self.join(verb.base, phrase.head)
        french = phrase.french[1:] if verb.link == "de" and phrase.french[0] in (SOME, "de") else phrase.french
        return Phrase(phrase.english, [*verb.link.split(), *french]), [], None

    def noun_phrase(self, kinds: str, negative: bool = False, relative: bool = False) -> Phrase:
        """A determiner, a noun of one of the kinds and what stands around it."""
        noun = self.rng.choice([n for n in nouns() if n.kind in kinds])
        who = Agreement(3, self.chance(0.35), noun.feminine)
        if noun.kind != "place" and self.chance(0.1):
            return self.possession(noun, who)
        determiner = self.pick(PLURAL if who.plural else SINGULAR)
        before, after = self.qualities(noun)
        english, french = determine(determiner, who, noun, before, negative)
        tail = [after.french(who)] if after else []
        words = [english, before, after]
        phrase = Phrase(
            _join(*[w if isinstance(w, str) else w.english if w else "" for w in words], _english(noun, who)),
            [*french, _french(noun, who), *tail],
            who,
            noun.english,
        )
        return self.relative(phrase, noun) if relative else phrase

    def qualities(self, noun: Noun) -> tuple[Adjective | None, Adjective | None]:
        """An adjective that French sets before the noun, or one that it sets after, or none."""
        if not self.chance(0.4):
            return None, None
        adjective = self.adjective(noun.kind)
        self.join(adjective.english, noun.english)
        return (adjective, None) if adjective.first else (None, adjective)

    def possession(self, noun: Noun, who: Agreement) -> Phrase:
        """The king's cat: in French, the cat of the king."""
        owner = self.rng.choice([n for n in nouns() if n.kind == "person"])
        owners = Agreement(3, self.chance(0.3), owner.feminine)
        determiner = self.rng.choice(("the", "my", "our"))
        whose, french = determine(determiner, owners, owner, None, False)
        name = _english(owner, owners)
        english = _join(whose, name + ("'" if name.endswith("s") else "'s"), _english(noun, who))
        head = [PLURAL["the"] if who.plural else SINGULAR["the"][who.feminine], _french(noun, who)]
        return Phrase(english, [*head, "de", *french, _french(owner, owners)], who, noun.english)

    def relative(self, phrase: Phrase, noun: Noun) -> Phrase:
        """The phrase and a clause about it: … that sleeps, … that the king has seen."""
        being = noun.kind in BEINGS
        pronoun = "who" if noun.kind == "person" else "that"
        if being and self.chance(0.5):
            said = self.predicate(Phrase("", [], phrase.agreement, phrase.head), self.verb(phrase), False)
            words = [pronoun, said.english], ["qui", *said.french]
        else:
            subject = self.noun_phrase("person")
            verb, tense = self.verb(subject, takes=noun.kind), self.rng.choice(("present", "past"))
            self.join(verb.base, noun.english)
            finite, participle = verb.french(tense, subject.agreement)
            done = [agree(participle, phrase.agreement)] if participle else []
            english = _verb_group(verb, tense, subject.agreement, "", False)[1]
            words = ["that", subject.english, english], ["que", *subject.french, finite, *done]
        return phrase._replace(
            english=_join(phrase.english, *words[0]), french=[*phrase.french, *words[1]]
        )

    def circumstance(self, tense: str, verb: Verb) -> Phrase:
        """Where, when, or nothing."""
        if self.chance(0.2) and "place" not in verb.takes:
            place = self.rng.choice(list(PLACES)[:4])
            phrase = self.noun_phrase("place")
            return Phrase(f"{place} {phrase.english}", [*PLACES[place].split(), *phrase.french])
        if self.chance(0.2):
            time = self.pick(TIMES[tense])
            return Phrase(time, TIMES[tense][time].split())
        return Phrase("", [])

    def tense(self, verb: Verb) -> str:
        """A tense that the English verb has."""
        tense = self.pick(TIMES)
        return tense if verb.gerund or tense != "progressive" else "present"

    def middle(self, asked: bool, without: str) -> Middle:
        """Mostly nothing, else a negation or an adverb of frequency."""
        if asked or self.chance(0.65):
            return Middle()
        return self.rng.choice([m for m in MIDDLES if m.english not in without.split()])

    def adjective(self, kinds: str, predicate: bool = False) -> Adjective:
        """An adjective for nouns of these kinds; `other` does not describe."""
        being = kinds in (BEINGS, "person", "animal")
        fits = [a for a in adjectives() if being or a.kind == "any"]
        return self.rng.choice([a for a in fits if not (predicate and a.english == "other")])

    def chance(self, share: float) -> bool:
        """True in that share of cases."""
        return self.rng.random() < share

    def pick(self, table: dict[str, object]) -> str:
        """A key of the table."""
        return self.rng.choice(list(table))

    def join(self, one: str, other: str) -> None:
        """Remember that these two words were put together."""
        if one and other:
            self.pairs.add(f"{one} {other}")


def determine(
    determiner: str, who: Agreement, noun: Noun, adjective: Adjective | None, negative: bool
) -> tuple[str, list[str]]:
    """A determiner in English, and in French with the adjective that follows it."""
    name = adjective.english if adjective else _english(noun, who)
    follower = _french(noun, who)
    quality = []
    if adjective:
        bends = not who.plural and not who.feminine and starts_with_vowel(follower)
        quality = [adjective.before_vowel if bends else adjective.french(who)]
        follower = quality[0]
    french = PLURAL[determiner] if who.plural else SINGULAR[determiner][who.feminine]
    if (french == SOME and (negative or quality)) or (negative and determiner == "a"):
        french = "de"
    if starts_with_vowel(follower):
        french = BEFORE_VOWEL.get(french, french)
    return _article(determiner, name, negative), [*french.split(), *quality]


def _article(determiner: str, name: str, negative: bool) -> str:
    if determiner == "some" and negative:
        return "any"
    if determiner == "a" and name[0].lower() in "aeiou" and not name.startswith("use"):
        return "an"
    return determiner


def agree(participle: str, who: Agreement | None) -> str:
    """A participle that agrees with `who`, if with anybody."""
    if who is None:
        return participle
    plural = who.plural and not (participle.endswith("s") and not who.feminine)
    return participle + "e" * who.feminine + "s" * plural


def spell(words: list[str]) -> str:
    """French words as they are written: elided, contracted and joined."""
    text = ""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        following = rest[0] if rest else ""
        if word in ("de", "à") and _contracts(rest):
            text += CONTRACTED[word, rest.pop(0)] + " "
        elif word in ELIDED and following and starts_with_vowel(following):
            text += word[:-1] + "'"
        elif following == ",":
            text += word
        else:
            text += word + " "
    return text.strip()


ELIDED = ("le", "la", "de", "que", "ne", "je", "me", "est-ce que")
CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}


def _contracts(rest: list[str]) -> bool:
    if not rest or rest[0] not in ("le", "les"):
        return False
    return rest[0] == "les" or not starts_with_vowel(rest[1])


def _verb_group(verb: Verb, tense: str, who: Agreement, middle: str, asked: bool) -> tuple[str, str]:
    """What stands before the subject in a question, and the rest of the English verb."""
    third = who == who._replace(person=3, plural=False)
    if tense == "progressive":
        return _be("present", who), _join(middle, verb.gerund)
    if tense == "future":
        return "will", _join(middle, verb.base)
    if asked or middle == "not":
        does = "did" if tense == "past" else "does" if third else "do"
        return does, _join(middle, verb.base)
    return "", _join(middle, verb.past if tense == "past" else verb.third if third else verb.base)


def _be(tense: str, who: Agreement) -> str:
    many = who.plural or who.person == 2
    if tense == "past":
        return "were" if many else "was"
    return "are" if many else {1: "am", 3: "is"}[who.person]


def _english(noun: Noun, who: Agreement) -> str:
    return noun.englishes if who.plural else noun.english


def _french(noun: Noun, who: Agreement) -> str:
    return noun.frenches if who.plural else noun.french


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


def _upper(text: str) -> str:
    return text[0].upper() + text[1:]
