"""Two nodes that share nothing but a link: the same curve, and less over the link where asked.

Of P bytes of gradients, an all-reduce around a ring of n neighbouring ranks sends 2 (n - 1) / n × P
over the link each way; one of parts that were first added up on each node sends P, the least that
can be.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.ray,
    pytest.mark.timeout(400),
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 makes the namespaces"),
]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("across")
    command = [sys.executable, "scripts/two_nodes", "--keep", str(folder), sys.executable]
    command += ["-m", "tests.pool.across", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=590)
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    return said


@pytest.mark.parametrize("case", ["ddp", "hsdp", "away"])
def test_a_gang_on_other_nodes_draws_the_curve_of_one_device(
    told: dict[str, Any], case: str
) -> None:
    assert told[case]["status"] == "SUCCEEDED", told[case]["reason"]
    assert told[case]["curve"] == pytest.approx(told["single"]["curve"], rel=1e-9)


def test_groups_on_two_nodes_reach_the_end_together(told: dict[str, Any]) -> None:
    assert told["hybrid"]["status"] == "SUCCEEDED", told["hybrid"]["reason"]


def test_a_run_that_fits_one_node_sends_nothing(told: dict[str, Any]) -> None:
    assert told["single"]["bytes"] < 1e5


def test_parts_added_up_on_each_node_send_the_least_that_can_be(told: dict[str, Any]) -> None:
    assert told["ddp"]["gradients"] == pytest.approx(2 * 2 * 3 / 4, rel=0.1)
    assert told["hsdp"]["gradients"] == pytest.approx(2, rel=0.1)


def test_groups_send_less_than_all_ranks_together_do(told: dict[str, Any]) -> None:
    # A step of the far group pushes P and pulls P, one of the near group nothing. On a quiet
    # machine they take turns, which comes to P; a loaded one may leave the far group most of them.
    assert told["hybrid"]["gradients"] < 0.75 * told["ddp"]["gradients"]


def test_what_is_kept_is_where_the_run_is(told: dict[str, Any]) -> None:
    for case in ("single", "ddp", "hsdp", "away"):
        assert told[case]["checkpoints"] == ["best-00000024", "step-00000024"]


def test_a_run_goes_on_without_a_node_that_was_lost(told: dict[str, Any]) -> None:
    lost = told["lost"]
    assert (lost["status"], lost["attempt"]) == ("SUCCEEDED", 2), lost["reason"]
    (notice,) = lost["notices"]
    assert re.match(r"machine 10\.\S+ was lost after step \d+; restart 1/3 from", notice)
