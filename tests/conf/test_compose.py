"""Every file in conf/ composes, and every experiment plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from turnaround import config, plan
from turnaround.config import places
from turnaround.launch import facts
from turnaround.spec import Inventory

EIGHT = Inventory(cpus=64, gpus=8)
SHIPPED = config.shipped() / "conf"
CHOICES = [
    f"{group}={file.stem}"
    for group in places.GROUPS
    for file in sorted((SHIPPED / group).glob("*.yaml"))
]


@pytest.mark.parametrize("choice", CHOICES)
def test_every_shipped_file_plans(choice: str, tmp_path: Path) -> None:
    group = choice.partition("=")[0]
    words = [choice] if group in ("recipe", "experiment") else ["recipe=seq2seq", choice]
    asked = config.compose(words, tmp_path)
    if asked.update.name == "auto":
        return  # a probe makes another of it, before there is a plan
    if asked.data.paths() == dict.fromkeys(asked.data.paths()):  # else the files must be here
        assert plan.make(asked, facts.gather(asked, tmp_path, EIGHT)).signature


def test_every_name_of_a_group_has_its_file() -> None:
    """`optim=adam` and `optim.name=adam` are the same, whichever a newcomer tries."""
    for group, kind in config.GROUPS.items():
        names = config.hints(kind).get("name")
        if names is not None:
            assert set(names.__args__) <= set(places.options(config.shipped(), group)), group
