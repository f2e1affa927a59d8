"""What may be asked of an update, before anything is placed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.test_plan import EIGHT_GPUS, TWO_CORES, make, refusal
from turnaround.spec import Data, Inventory, Layout, Update


def test_groups_take_the_devices_that_there_are() -> None:
    assert make(EIGHT_GPUS, update=Update("async")).devices == 8
    pairs = make(EIGHT_GPUS, update=Update("hybrid"), layout=Layout("ddp", 2))
    assert (pairs.update.groups, pairs.devices, pairs.vital) == (4, 8, 2)
    assert make(TWO_CORES, update=Update("local")).update.groups == 2
    assert make(TWO_CORES).devices == 1


def test_a_run_needs_all_groups_that_wait_for_each_other() -> None:
    assert make(EIGHT_GPUS, update=Update("local", groups=4)).vital == 4
    assert make(EIGHT_GPUS, update=Update("async", groups=4)).vital == 1


def test_cores_are_shared_among_the_workers_of_all_groups() -> None:
    assert make(Inventory(16, 8), update=Update("async")).cluster.threads == 1


REFUSED: list[tuple[dict[str, Any], str]] = [
    (
        {"update": Update("async", groups=1)},
        "update=async with update.groups=1 has nobody to agree with\n"
        "  → update.groups=2 or more, or update=sync",
    ),
    (
        {"update": Update("hybrid"), "inventory": Inventory(1, 0)},
        "update=hybrid with update.groups=2, each layout=single on 1, needs 2 devices, "
        "but there are 1\n  → update=sync",
    ),
    (
        {"update": Update("hybrid", groups=4), "layout": Layout("ddp"), "inventory": EIGHT_GPUS},
        "update=hybrid with update.groups=4, each layout=ddp on 8, needs 32 devices, "
        "but there are 8\n  → layout.replicate=2",
    ),
    (
        {"update": Update("async", groups=9), "inventory": EIGHT_GPUS},
        "update=async with update.groups=9, each layout=single on 1, needs 9 devices, "
        "but there are 8\n  → update.groups=8",
    ),
    (
        {"update": Update("async"), "layout": Layout("ddp", 2)},
        "update=async has groups of one device, but layout=ddp has more\n  → update=hybrid",
    ),
    (
        {"update": Update(groups=2)},
        "update.groups=2 means nothing to update=sync\n  → update=backup, or leave it out",
    ),
    (
        {"update": Update("local", bound=3)},
        "update.bound=3 means nothing to update=local\n  → update=async, or leave it out",
    ),
    (
        {"update": Update("local", compress="bf16")},
        "update.compress=bf16 means nothing to update=local\n  → update=sync, or leave it out",
    ),
    (
        {"update": Update("backup", groups=2, spares=2)},
        "update.spares=2 leaves none of 2 groups to wait for\n  → update.spares=1 or fewer",
    ),
    (
        {"update": Update("async", every=4, pull=6)},
        "update.pull=6 is no multiple of update.every=4\n  → update.pull=8",
    ),
    (
        {"update": Update(compress="fp16"), "layout": Layout("fsdp", shard=2)},
        "update.compress=fp16 is not made for layout=fsdp\n  → layout=ddp, or update.compress=none",
    ),
    (
        {"update": Update("backup"), "layout": Layout("fsdp", shard=2), "inventory": EIGHT_GPUS},
        "update=backup drops whole gradients, but layout=fsdp cuts them up\n"
        "  → layout=ddp, or update=hybrid",
    ),
    (
        {"update": Update("local", accumulate=4), "data": Data(batch=6)},
        "data.batch=6 cannot be cut in 8: 2 devices, update.accumulate=4\n  → data.batch=8 or more",
    ),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_what_cannot_be_is_refused_with_what_would_do(
    changes: dict[str, Any], message: str
) -> None:
    assert refusal(**changes) == message


def test_an_inexact_update_makes_it_another_question() -> None:
    plain = make(EIGHT_GPUS)
    assert make(EIGHT_GPUS, update=Update(accumulate=2)).signature == plain.signature
    inexact = [Update("local"), Update("local", groups=2), Update("async"), Update("backup")]
    asked = [make(EIGHT_GPUS, update=update).signature for update in inexact]
    assert len({plain.signature, *asked}) == 5
    compressed = make(EIGHT_GPUS, layout=Layout("ddp"), update=Update(compress="bf16"))
    assert compressed.signature != plain.signature
