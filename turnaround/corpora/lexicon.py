"""The words of the generated English-French corpus, and how each of them bends.

Tables have one word a row. What is regular is left to the functions; what is not is written out,
French in the forms that a grammar book lists.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from turnaround.corpora.french import AVOIR, ETRE, FUTURE, Agreement

KINDS = ("person", "animal", "food", "text", "place", "thing")
BEINGS = KINDS[:2]
SHORT = {"anything": KINDS, "beings": BEINGS}  # in the tables


@dataclass(frozen=True)
class Noun:
    """A noun of both languages: singular and plural, and what it names."""

    singular: tuple[str, str]  # English, French
    plural: tuple[str, str]
    feminine: bool
    kind: str

    def english(self, who: Agreement) -> str:
        """In English."""
        return (self.plural if who.plural else self.singular)[0]

    def french(self, who: Agreement) -> str:
        """In French."""
        return (self.plural if who.plural else self.singular)[1]


@dataclass(frozen=True)
class Adjective:
    """An adjective; the French one stands after its noun unless it is one of a few."""

    english: str
    masculine: str
    before_vowel: str  # masculine singular there: un bel arbre
    feminine: str
    masculines: str
    first: bool
    fits: tuple[str, ...]  # the kinds of noun it is said of

    def french(self, who: Agreement) -> str:
        """As it agrees."""
        if who.feminine:
            return self.feminine + "s" * who.plural
        return self.masculines if who.plural else self.masculine


@dataclass(frozen=True)
class Verb:
    """A verb of both languages; `link` stands before its French object: à, de, or nothing."""

    base: str
    third: str
    past: str
    gerund: str  # empty: no progressive
    present: tuple[str, ...]
    future: str  # stem
    participle: str
    being: bool  # past tense with être
    link: str
    takes: tuple[str, ...]  # kinds of object; none: intransitive
    animals: bool  # do it too

    def english(self, tense: str, who: Agreement, middle: str, asked: bool) -> tuple[str, str]:
        """What a question sets before its subject, and what follows the subject."""
        third = who.person == 3 and not who.plural
        if tense == "progressive":
            return be("present", who), f"{middle} {self.gerund}".lstrip()
        if tense == "future":
            return "will", f"{middle} {self.base}".lstrip()
        if asked or middle == "not":
            does = "did" if tense == "past" else "does" if third else "do"
            return does, f"{middle} {self.base}".lstrip()
        finite = self.past if tense == "past" else self.third if third else self.base
        return "", f"{middle} {finite}".lstrip()

    def french(self, tense: str, who: Agreement) -> tuple[str, str]:
        """The finite form and, in the past, the participle without its agreement."""
        if tense == "past":
            return (ETRE if self.being else AVOIR)[who.row], self.participle
        if tense == "future":
            return self.future + FUTURE[who.row], ""
        return self.present[who.row], ""


def be(tense: str, who: Agreement) -> str:
    """The form of be."""
    many = who.plural or who.person == 2
    if tense == "past":
        return "were" if many else "was"
    return "are" if many else {1: "am", 3: "is"}[who.person]


NOUNS = """
boy boys garçon garçons m person
girl girls fille filles f person
woman women femme femmes f person
friend friends ami amis m person
teacher teachers professeur professeurs m person
doctor doctors médecin médecins m person
neighbour neighbours voisin voisins m person
king kings roi rois m person
queen queens reine reines f person
sister sisters sœur sœurs f person
brother brothers frère frères m person
nurse nurses infirmière infirmières f person
actress actresses actrice actrices f person
hero heroes héros héros m person
cat cats chat chats m animal
dog dogs chien chiens m animal
bird birds oiseau oiseaux m animal
horse horses cheval chevaux m animal
mouse mice souris souris f animal
wolf wolves loup loups m animal
owl owls hibou hiboux m animal
hedgehog hedgehogs hérisson hérissons m animal
fox foxes renard renards m animal
apple apples pomme pommes f food
orange oranges orange oranges f food
egg eggs œuf œufs m food
cake cakes gâteau gâteaux m food
oyster oysters huître huîtres f food
book books livre livres m text
letter letters lettre lettres f text
newspaper newspapers journal journaux m text
story stories histoire histoires f text
poem poems poème poèmes m text
house houses maison maisons f place
garden gardens jardin jardins m place
school schools école écoles f place
castle castles château châteaux m place
hotel hotels hôtel hôtels m place
island islands île îles f place
forest forests forêt forêts f place
tree trees arbre arbres m thing
car cars voiture voitures f thing
key keys clé clés f thing
hat hats chapeau chapeaux m thing
window windows fenêtre fenêtres f thing
door doors porte portes f thing
clock clocks horloge horloges f thing
knife knives couteau couteaux m thing
ring rings bague bagues f thing
plane planes avion avions m thing
ship ships navire navires m thing
"""

# English | French masculine (before a vowel), feminine, masculine plural | of what; a + marks those
# that stand before their noun.
ADJECTIVES = """
big | + grand grande grands | anything
small | + petit petite petits | anything
beautiful | + beau bel belle beaux | anything
old | + vieux vieil vieille vieux | anything
new | + nouveau nouvel nouvelle nouveaux | person text place thing
young | + jeune jeune jeunes | beings
good | + bon bonne bons | person animal food text
other | + autre autre autres | anything
white | blanc blanche blancs | animal place thing
black | noir noire noirs | animal thing
red | rouge rouge rouges | food thing
green | vert verte verts | food place thing
blue | bleu bleue bleus | thing
happy | heureux heureuse heureux | beings
sad | triste triste tristes | person animal text
tired | fatigué fatiguée fatigués | beings
famous | célèbre célèbre célèbres | person text place
heavy | lourd lourde lourds | animal food text thing
expensive | cher chère chers | food text place thing
quiet | tranquille tranquille tranquilles | person animal place
huge | énorme énorme énormes | animal food place thing
Italian | italien italienne italiens | person food text place thing
French | français française français | person food text place thing
brave | courageux courageuse courageux | beings
"""

# English: base third past gerund, * before what animals do too, - for no progressive | French: an
# infinitive in -er, with its stem before a silent ending after a colon where that differs, or the
# five present forms, the future stem and the participle; then être, and à or de | kinds of object.
VERBS = """
*see sees saw - | vois voit voyons voyez voient verr vu | anything
*love loves loved - | aimer | anything
*look_for looks_for looked_for looking_for | chercher | anything
*find finds found finding | trouver | anything
*watch watches watched watching | regarder | person animal
buy buys bought buying | acheter:achèt | food text thing
*eat eats ate eating | manger | food
break breaks broke breaking | casser | thing
*hide hides hid hiding | cacher | person animal food text thing
forget forgets forgot forgetting | oublier | person food text place thing
*listen_to listens_to listened_to listening_to | écouter | person animal
call calls called calling | appeler:appell | person animal
write writes wrote writing | écris écrit écrivons écrivez écrivent écrir écrit | text
sell sells sold selling | vends vend vendons vendez vendent vendr vendu | animal food text place thing
*wait_for waits_for waited_for waiting_for | attends attend attendons attendez attendent attendr attendu | beings
*lose loses lost losing | perds perd perdons perdez perdent perdr perdu | food text thing
*follow follows followed following | suis suit suivons suivez suivent suivr suivi | beings
*choose chooses chose choosing | choisis choisit choisissons choisissez choisissent choisir choisi | food text place thing
*hear hears heard - | entends entend entendons entendez entendent entendr entendu | beings
speak_to speaks_to spoke_to speaking_to | parler à | person animal
phone phones phoned phoning | téléphoner à | person
talk_about talks_about talked_about talking_about | parler de | anything
go_to goes_to went_to going_to | vais va allons allez vont ir allé être à | place
*sleep sleeps slept sleeping | dors dort dormons dormez dorment dormir dormi |
*run runs ran running | cours court courons courez courent courr couru |
sing sings sang singing | chanter |
dance dances danced dancing | danser |
*leave leaves left leaving | pars part partons partez partent partir parti être |
*fall falls fell falling | tomber être |
"""  # noqa: E501 a row of a table stays one line


@functools.cache
def nouns(*kinds: str) -> tuple[Noun, ...]:
    """The nouns of these kinds."""
    rows = (line.split() for line in NOUNS.strip().split("\n"))
    return tuple(
        Noun((one, un), (many, des), gender == "f", kind)
        for one, many, un, des, gender, kind in rows
        if kind in kinds
    )


@functools.cache
def adjectives(kind: str) -> tuple[Adjective, ...]:
    """What can be said of nouns of that kind."""
    made = (_adjective(*line.split("|")) for line in ADJECTIVES.strip().split("\n"))
    return tuple(adjective for adjective in made if kind in adjective.fits)


@functools.cache
def verbs(animal: bool = False, takes: str = "") -> tuple[Verb, ...]:
    """What persons (or also animals) do, to objects of that kind if one is given."""
    made = (_verb(*line.split("|")) for line in VERBS.strip().split("\n"))
    return tuple(
        verb
        for verb in made
        if (verb.animals or not animal) and (not takes or (takes in verb.takes and not verb.link))
    )


def _adjective(english: str, french: str, fits: str) -> Adjective:
    forms = french.replace("+", "").split()
    masculine, feminine, masculines = forms[0], *forms[-2:]
    before_vowel = forms[1] if len(forms) == 4 else masculine
    first = french.lstrip().startswith("+")
    return Adjective(
        english.strip(), masculine, before_vowel, feminine, masculines, first, _kinds(fits)
    )


def _verb(english: str, french: str, takes: str) -> Verb:
    base, third, past, gerund = (word.replace("_", " ") for word in english.split())
    words = french.split()
    link = words.pop() if words[-1] in ("à", "de") else ""
    being = words[-1] == "être"
    forms = words[:-1] if being else words
    present, future, participle = _regular(forms[0]) if len(forms) == 1 else _listed(forms)
    return Verb(
        base.removeprefix("*"),
        third,
        past,
        gerund.removeprefix("-"),
        present,
        future,
        participle,
        being,
        link,
        _kinds(takes),
        base.startswith("*"),
    )


def _listed(forms: list[str]) -> tuple[tuple[str, ...], str, str]:
    return tuple(forms[:5]), forms[5], forms[6]


def _regular(entry: str) -> tuple[tuple[str, ...], str, str]:
    """Present, future stem and participle of a verb in -er."""
    infinitive, _, strong = entry.partition(":")
    stem = infinitive.removesuffix("er")
    silent = strong or stem
    nous = stem + ("eons" if stem.endswith("g") else "ons")
    present = silent + "e", silent + "e", nous, stem + "ez", silent + "ent"
    return present, f"{strong}er" if strong else infinitive, stem + "é"


def _kinds(words: str) -> tuple[str, ...]:
    return tuple(kind for word in words.split() for kind in SHORT.get(word, (word,)))
