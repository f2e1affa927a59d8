"""The words of the generated English-French corpus, and how each of them bends.

Tables are rows of one word each; what is regular is left to the functions below, what is not is
written out. French is given in the forms a grammar book lists.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

VOWELS = "aeiouyàâéèêëîïôûœ"
ASPIRATED = ("hibou", "hérisson", "héros")


# je, il, nous, vous, ils
AVOIR = ("ai", "a", "avons", "avez", "ont")
ETRE = ("suis", "est", "sommes", "êtes", "sont")
ETAIT = ("étais", "était", "étions", "étiez", "étaient")
SERA = ("serai", "sera", "serons", "serez", "seront")
FUTURE = ("ai", "a", "ons", "ez", "ont")


class Agreement(NamedTuple):
    """Whom a verb or an adjective agrees with. A polite vous is person 2 and singular."""

    person: int = 3
    plural: bool = False
    feminine: bool = False

    @property
    def row(self) -> int:
        """Where its form stands in a table of je, il, nous, vous, ils."""
        return {1: 2 if self.plural else 0, 2: 3, 3: 4 if self.plural else 1}[self.person]


@dataclass(frozen=True)
class Noun:
    """A noun of both languages, with its plurals and its French gender."""

    english: str
    englishes: str
    french: str
    frenches: str
    feminine: bool
    kind: str  # person, animal, food, text, place or thing


@dataclass(frozen=True)
class Adjective:
    """An adjective; the French one stands before its noun when it is one of the few that do."""

    english: str
    masculine: str
    feminine: str
    masculines: str
    first: bool  # before the noun
    before_vowel: str  # masculine singular there: un bel arbre
    kind: str  # being: of persons and animals only; any: of everything

    def french(self, agreement: Agreement) -> str:
        """The form that agrees."""
        if agreement.feminine:
            return self.feminine + "s" * agreement.plural
        return self.masculines if agreement.plural else self.masculine


@dataclass(frozen=True)
class Verb:
    """A verb of both languages; `link` stands before its French object (à, de, or nothing)."""

    base: str
    third: str
    past: str
    gerund: str
    present: tuple[str, ...]  # je, il, nous, vous, ils
    future: str  # stem
    participle: str
    being: bool  # past tense with être
    link: str
    takes: str  # kinds of object it takes; empty: none
    animals: bool  # animals do it too

    def french(self, tense: str, who: Agreement) -> tuple[str, str]:
        """The finite form, and the participle (without agreement) where there is one."""
        if tense == "past":
            return (ETRE if self.being else AVOIR)[who.row], self.participle
        if tense == "future":
            return self.future + FUTURE[who.row], ""
        return self.present[who.row], ""


def starts_with_vowel(word: str) -> bool:
    """Whether le, de, je and their like lose their vowel before this word."""
    lower = word.lower()
    return lower[0] in VOWELS or (lower[0] == "h" and not lower.startswith(ASPIRATED))


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

# english, masculine, feminine, masculine plural, kind; + marks those that stand before the noun,
# and a last column their masculine singular before a vowel.
ADJECTIVES = """
+big grand grande grands any
+small petit petite petits any
+beautiful beau belle beaux any bel
+old vieux vieille vieux any vieil
+new nouveau nouvelle nouveaux any nouvel
+young jeune jeune jeunes being
+good bon bonne bons any
+other autre autre autres any
white blanc blanche blancs any
black noir noire noirs any
red rouge rouge rouges any
green vert verte verts any
blue bleu bleue bleus any
happy heureux heureuse heureux being
sad triste triste tristes being
tired fatigué fatiguée fatigués being
famous célèbre célèbre célèbres any
heavy lourd lourde lourds any
expensive cher chère chers any
quiet tranquille tranquille tranquilles being
huge énorme énorme énormes any
Italian italien italienne italiens any
French français française français any
brave courageux courageuse courageux being
"""

# English: base third past gerund, * before what animals do too, - for no progressive | French: an
# infinitive in -er, with its stem before a silent ending after a colon where that differs, or the
# five present forms, the future stem and the participle; then être, and à or de | kinds of object.
VERBS = """
*see sees saw - | vois voit voyons voyez voient verr vu | person animal food text place thing
*love loves loved - | aimer | person animal food text place thing
*look_for looks_for looked_for looking_for | chercher | person animal food text place thing
*find finds found finding | trouver | person animal food text place thing
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
*wait_for waits_for waited_for waiting_for | attends attend attendons attendez attendent attendr attendu | person animal
*lose loses lost losing | perds perd perdons perdez perdent perdr perdu | food text thing
*follow follows followed following | suis suit suivons suivez suivent suivr suivi | person animal
*choose chooses chose choosing | choisis choisit choisissons choisissez choisissent choisir choisi | animal food text place thing
*hear hears heard - | entends entend entendons entendez entendent entendr entendu | person animal
speak_to speaks_to spoke_to speaking_to | parler à | person animal
phone phones phoned phoning | téléphoner à | person
talk_about talks_about talked_about talking_about | parler de | person animal food text place thing
go_to goes_to went_to going_to | vais va allons allez vont ir allé être à | place
*sleep sleeps slept sleeping | dors dort dormons dormez dorment dormir dormi |
*run runs ran running | cours court courons courez courent courr couru |
sing sings sang singing | chanter |
dance dances danced dancing | danser |
*leave leaves left leaving | pars part partons partez partent partir parti être |
*fall falls fell falling | tomber être |
"""


@functools.cache
def nouns() -> tuple[Noun, ...]:
    """All nouns."""
    rows = (line.split() for line in NOUNS.split("\n") if line)
    return tuple(Noun(en, ens, fr, frs, gender == "f", kind) for en, ens, fr, frs, gender, kind in rows)


@functools.cache
def adjectives() -> tuple[Adjective, ...]:
    """All adjectives."""
    rows = (line.split() for line in ADJECTIVES.split("\n") if line)
    return tuple(
        Adjective(en.lstrip("+"), m, f, ms, en[0] == "+", vowel[0] if vowel else m, kind)
        for en, m, f, ms, kind, *vowel in rows
    )


@functools.cache
def verbs() -> tuple[Verb, ...]:
    """All verbs."""
    return tuple(_verb(*line.split("|")) for line in VERBS.split("\n") if line)


def _verb(english: str, french: str, takes: str) -> Verb:
    base, third, past, gerund = (word.replace("_", " ") for word in english.split())
    words = french.split()
    link = words.pop() if words[-1] in ("à", "de") else ""
    being = words[-1] == "être"
    bare = words[:-1] if being else words
    present, future, participle = _regular(bare[0]) if len(bare) == 1 else (bare[:5], bare[5], bare[6])
    english_forms = base.removeprefix("*"), third, past, "" if gerund == "-" else gerund
    return Verb(
        *english_forms, tuple(present), future, participle, being, link, takes.strip(), base[0] == "*"
    )


def _regular(entry: str) -> tuple[list[str], str, str]:
    """Present, future stem and participle of a verb in -er."""
    infinitive, _, strong = entry.partition(":")
    stem = infinitive.removesuffix("er")
    silent = strong or stem
    nous = stem + ("eons" if stem.endswith("g") else "ons")
    future = f"{strong}er" if strong else infinitive
    return [silent + "e", silent + "e", nous, stem + "ez", silent + "ent"], future, stem + "é"
