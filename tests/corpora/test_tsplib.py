from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from turnaround.corpora import planar, points, tsplib
from turnaround.errors import DataError

ROOT = Path(__file__).parents[2]
REAL = Path(os.environ.get("TURNAROUND_TEST_DATA", ROOT.parent / "shared" / "data")) / "tsp"
HEAD = "NAME : three\nTYPE : TSP\nDIMENSION : 3\nEDGE_WEIGHT_TYPE : EUC_2D\nNODE_COORD_SECTION\n"
POINTS = "1 0 0\n2 3e0 4\n3 0.0 2.6\nEOF\n"


def written(folder: Path, text: str) -> Path:
    file = folder / "three.tsp"
    file.write_text(text)
    return file


def test_distances_are_rounded(tmp_path: Path) -> None:
    problem = tsplib.read(written(tmp_path, HEAD + POINTS))
    assert problem.name == "three"
    assert [problem.distance(0, 1), problem.distance(0, 2), problem.distance(1, 2)] == [5, 3, 3]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + POINTS.replace("2 3e0 4", "2 3e0"), "line 7: expected point 2 and its two coord"),
        (HEAD + POINTS.replace("2 3e0 4", "4 3e0 4"), "line 7: expected point 2 and its two coord"),
        (HEAD + POINTS.replace("3e0", "nan"), "line 7: expected point 2 and its two coordinates"),
        (HEAD + "1 0 0\n", "DIMENSION is 3, but there are 1 points"),
        (HEAD.replace("EUC_2D", "EXPLICIT") + POINTS, "EDGE_WEIGHT_TYPE is EXPLICIT"),
        ("NAME three\n", "line 1: expected KEY: value, found 'NAME three'"),
        ("NAME: three\n", "has no NODE_COORD_SECTION"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as caught:
        tsplib.read(written(tmp_path, text))
    assert caught.value.message.startswith(str(tmp_path / "three.tsp"))
    assert said in caught.value.message


@pytest.mark.parametrize("line", ["", "0.1,0.2 0.3", "0,0 1,1", "0,0 1,x 2,3", "0,0 1,nan 2,3"])
def test_points_that_are_none_are_refused(line: str) -> None:
    with pytest.raises(DataError, match="expected three points or more"):
        points.typed(line)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_file_of_fewer_points_is_refused_as_well(tmp_path: Path, count: int) -> None:
    lines = "".join(POINTS.splitlines(keepends=True)[:count])
    file = written(tmp_path, HEAD.replace("DIMENSION : 3", f"DIMENSION : {count}") + lines)
    with pytest.raises(DataError) as caught:
        points.from_file(file)
    assert caught.value.message == f"{file}: expected three points or more, found {count}"


@pytest.mark.parametrize("colon", [":", " :"])
def test_the_word_before_the_points_may_have_a_colon(tmp_path: Path, colon: str) -> None:
    head = HEAD.replace("SECTION", f"SECTION{colon}")
    assert len(tsplib.read(written(tmp_path, head + POINTS)).points) == 3


@pytest.mark.parametrize("task", ["hull", "delaunay"])
def test_points_on_one_line_have_no_hull_and_no_triangles(tmp_path: Path, task: str) -> None:
    for line in ("0,0 1,1 2,2", "0,0 0,0 0,0", "0,0 0,1 0,2 0,3"):
        with pytest.raises(DataError, match=r"^the . points lie on one line"):
            points.TASKS[task].answers([points.typed(line)])
    file = written(tmp_path, HEAD + "1 0 0\n2 1 0\n3 2 0\nEOF\n")
    with pytest.raises(DataError) as caught:
        points.TASKS[task].answers([points.from_file(file)])
    assert caught.value.message == f"{file}: the 3 points lie on one line"


def test_typed_points_keep_their_own_distances() -> None:
    problem = points.typed("0,0 10,0 10,5")
    assert problem.points.tolist() == [[0, 0], [1, 0], [1, 0.5]]
    assert problem.far[0, 1] == 10


# ── published problems, where they are ──


def real(name: str) -> points.Problem:
    if not REAL.is_dir():
        pytest.skip(f"no TSPLIB problems in {REAL}")
    return points.from_file(REAL / f"{name}.tsp")


def test_the_shortest_way_round_burma_is_the_published_one() -> None:
    far = real("burma14").far
    (tour,) = planar.tours([far])
    assert planar.length(far, tour) == 3323  # GEO


@pytest.mark.parametrize(("name", "best"), [("eil51", 426), ("st70", 675), ("eil76", 538)])
def test_a_good_way_round_is_a_little_longer_than_the_published_shortest(
    name: str, best: int
) -> None:
    far = real(name).far
    assert best <= planar.length(far, planar.tours([far])[0]) <= 1.05 * best
    assert np.array_equal(far, far.T)
