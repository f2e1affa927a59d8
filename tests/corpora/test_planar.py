from __future__ import annotations

import itertools

import numpy as np
import pytest

from turnaround.corpora import planar


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("n", [3, 4, 5, 7])
def test_no_order_of_the_points_is_shorter(rng: np.random.Generator, n: int) -> None:
    far = planar.distances(rng.random((20, n, 2)))
    orders = [(0, *rest) for rest in itertools.permutations(range(1, n))]
    for one, tour in zip(far, planar.shortest(far), strict=True):
        least = min(planar.length(one, order) for order in orders)
        assert planar.length(one, tour) == pytest.approx(least)


def test_a_tour_visits_all_from_the_first_and_turns_to_its_lower_neighbour(
    rng: np.random.Generator,
) -> None:
    for tour in planar.shortest(planar.distances(rng.random((20, 8, 2)))):
        assert sorted(tour) == list(range(8))
        assert tour[0] == 0
        assert tour[1] < tour[-1]


def test_the_shortest_tours_of_five_points_are_as_long_as_published(
    rng: np.random.Generator,
) -> None:
    far = planar.distances(rng.random((5000, 5, 2)))
    lengths = [planar.length(d, t) for d, t in zip(far, planar.shortest(far), strict=True)]
    assert np.mean(lengths) == pytest.approx(2.12, abs=0.02)  # Vinyals et al., table 2


def test_tours_of_several_sizes_are_each_their_own(rng: np.random.Generator) -> None:
    far = [planar.distances(rng.random((n, 2))) for n in (6, 4, 6, 16, 5)]
    together = planar.tours(far)
    alone = [planar.tours([one])[0] for one in far]
    assert [t.tolist() for t in together] == [t.tolist() for t in alone]


def test_two_legs_that_cross_are_exchanged(rng: np.random.Generator) -> None:
    around = np.linspace(0, 2 * np.pi, 20, endpoint=False)[rng.permutation(20)]
    far = planar.distances(np.stack([np.cos(around), np.sin(around)], 1))
    round_trip = 20 * 2 * np.sin(np.pi / 20)
    assert planar.length(far, planar.improved(far)) == pytest.approx(round_trip)
    assert planar.length(far, planar.nearest(far)) >= round_trip - 1e-9


def test_a_hull_starts_at_its_lowest_number_and_goes_counter_clockwise() -> None:
    points = np.array([[0.5, 0.5], [1.0, 1.0], [0.0, 1.0], [0.0, 0.0], [1.0, 0.0]])
    assert planar.hull(points).tolist() == [1, 2, 3, 4]
    assert planar.area(points[1:]) == pytest.approx(1.0)


def test_a_polygon_whose_sides_cross_is_not_simple() -> None:
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    assert planar.simple(square)
    assert not planar.simple(square[[0, 2, 1, 3]])
    assert not planar.simple(square[:2])


def test_triangles_fill_the_hull_and_are_sorted_by_their_incentres(
    rng: np.random.Generator,
) -> None:
    points = rng.random((9, 2))
    triangles = planar.triangles(points)
    areas = sum(planar.area(points[corners]) for corners in triangles)
    assert areas == pytest.approx(planar.area(points[planar.hull(points)]))
    assert (np.diff(triangles, axis=1) > 0).all()
    sides = np.linalg.norm(
        points[triangles[:, [1, 2, 0]]] - points[triangles[:, [2, 0, 1]]], axis=2
    )
    centres = (points[triangles] * sides[..., None]).sum(1) / sides.sum(1, keepdims=True)
    assert (np.diff(centres[:, 0]) >= 0).all()
