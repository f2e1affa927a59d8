"""What an agent hands on to the daemon that it starts."""

from __future__ import annotations

import os
import subprocess
import sys

RAYLET = """
import os, subprocess, sys
environ = {**os.environ, **dict(word.split("=") for word in sys.argv[2:])}
subprocess.run([sys.executable, "-c", sys.argv[1]], env=environ, check=True)
"""
ACTOR = """
from turnaround.pool.node.agent import _environ
told = _environ()
print(told.get("CUDA_VISIBLE_DEVICES"), told.get("RAY_ADDRESS"), told["LANG"])
"""


def handed_on(raylet: dict[str, str], *actor: str) -> str:
    """By an actor whose environment Ray has changed so."""
    environ = {k: v for k, v in os.environ.items() if k != "CUDA_VISIBLE_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", RAYLET, ACTOR, *actor],
        env={**environ, "RAY_ADDRESS": "10.0.0.7:6379", "LANG": "C.UTF-8", **raylet},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def test_the_gpus_that_a_machine_joined_with_are_the_daemons() -> None:
    hidden = "CUDA_VISIBLE_DEVICES="
    assert handed_on({"CUDA_VISIBLE_DEVICES": "2,3"}, hidden) == "2,3 None C.UTF-8"
    assert handed_on({}, hidden) == "None None C.UTF-8"
