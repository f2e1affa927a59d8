"""JSON for scripts."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from turnaround.cli.views.record import strict_json

NAN, INFINITE = math.nan, math.inf


def test_what_is_no_number_is_null_however_deep() -> None:
    found = {"loss": NAN, "all": [1.5, -INFINITE, {"deep": (INFINITE, "x", None, True, 3)}]}
    told = {"loss": None, "all": [1.5, None, {"deep": [None, "x", None, True, 3]}]}
    assert json.loads(strict_json(found)) == told
    assert strict_json({"a": [1.0]}, indent=1) == json.dumps({"a": [1.0]}, indent=1)


@pytest.mark.parametrize(
    "words",
    [("ls",), ("show", "wide"), ("watch", "wide"), ("compare", "wide", "high")],
)
def test_scores_that_are_not_finite_are_still_json(ask, trained, journal, plan, words) -> None:
    for name, bad in (("wide", NAN), ("high", INFINITE)):
        run = trained(f"seq2seq-{name}", replace(plan, name=name, signature=name))
        values = {"valid/loss": bad, "test/loss": 1.0, "test/bleu": bad}
        journal.update(run.id, summary={**run.summary, "values": values})

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert json.loads(ask(*words, "--json").out, parse_constant=refuse)
