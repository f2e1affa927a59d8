from __future__ import annotations

import itertools

import numpy as np

from turnaround.corpora import scenes
from turnaround.corpora.scenes import Scene, Thing


def test_a_sentence_says_what_is_where() -> None:
    one = Thing("large", "red", "circle", 0, 0)
    two = Thing("small", "blue", "square", 2, 1)
    three = Thing("small", "white", "cross", 2, 2)
    assert Scene((one,), 0).sentence == "At the top left is a large red circle."
    assert Scene((two, three), 0).sentence == (
        "At the bottom is a small blue square and at the bottom right a small white cross."
    )
    assert Scene((one, two, three), 0).sentence == (
        "At the top left is a large red circle, at the bottom a small blue square "
        "and at the bottom right a small white cross."
    )


def test_the_things_of_a_sentence_are_those_of_its_scene() -> None:
    for scene in scenes.examples("train", 200):
        assert scenes.things(scene.sentence) == [thing.name for thing in scene.things]


def test_every_held_out_scene_has_a_pair_that_training_lacks() -> None:
    train = set().union(*(pairs(scene) for scene in scenes.examples("train", 3000)))
    for split in ("valid", "test"):
        for scene in scenes.examples(split, 100):
            assert pairs(scene) - train


def pairs(scene: Scene) -> set[tuple[object, ...]]:
    names = sorted(thing.name for thing in scene.things)
    places = {(thing.name, thing.row, thing.column) for thing in scene.things}
    return places | set(itertools.combinations(names, 2))


def test_scenes_are_the_same_each_time_and_differ_between_splits() -> None:
    assert scenes.examples("test", 50) == scenes.examples("test", 50)
    assert scenes.examples("test", 50) != scenes.examples("valid", 50)
    assert scenes.examples("train", 50, seed=1) != scenes.examples("train", 50)


def test_a_thing_is_drawn_in_its_colour_and_in_its_place() -> None:
    scene = Scene((Thing("large", "red", "square", 2, 0),), 0)
    picture = scenes.draw(scene)
    assert picture.shape == (3, scenes.SIDE, scenes.SIDE)
    assert picture.dtype == np.uint8
    red = (picture[0] > 150) & (picture[1] < 90)
    rows, columns = red.nonzero()
    assert rows.min() > 20
    assert columns.max() < 12
    assert 50 < red.sum() < 90  # 8.3 pixels wide


def test_one_sentence_is_drawn_in_more_than_one_way() -> None:
    things = (Thing("large", "red", "square", 2, 0),)
    assert (scenes.draw(Scene(things, 0)) != scenes.draw(Scene(things, 1))).any()
    assert (scenes.draw(Scene(things, 0)) == scenes.draw(Scene(things, 0))).all()
