"""Which cores trials keep to."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from turnaround.pool.node.cores import Cores


def test_the_idlest_core_is_taken_and_nobodys_where_none_is_left(tmp_path: Path) -> None:
    cores = Cores({0, 1}, tmp_path)
    with ExitStack() as stack:
        taken = [stack.enter_context(cores.kept(1, 0.5)) for _ in range(5)]
    assert taken == [[0], [1], [0], [1], [0, 1]]
    with cores.kept(2, 1) as both:
        assert both == [0, 1]
        with cores.kept(1, 0.5) as any_:
            assert any_ == [0, 1]
    with cores.kept(1, 1) as again:
        assert again == [0]


def test_two_pools_do_not_meet_on_a_core(tmp_path: Path) -> None:
    mine, others = Cores({0, 1}, tmp_path), Cores({0, 1}, tmp_path)
    with mine.kept(1, 0.5) as first:
        with others.kept(1, 0.5) as second, others.kept(1, 1) as third:
            assert (first, second, third) == ([0], [1], [0, 1])
        with others.kept(2, 1) as both:
            assert both == [0, 1]  # for anybody
            with mine.kept(1, 1) as rest:
                assert rest == [1]
    with others.kept(1, 1) as there:
        assert there == [0]


def test_who_wants_none_may_go_anywhere(tmp_path: Path) -> None:
    with Cores({0, 1}, tmp_path).kept(0, 1) as mine:
        assert mine == [0, 1]
    with Cores(set(), tmp_path).kept(1, 1) as mine:
        assert mine == []
