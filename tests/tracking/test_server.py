"""The same through MLflow's own server, which dies on the way."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.workshop import Workshop
from turnaround.spec import Tracking
from turnaround.tracking.rounds import Rounds
from turnaround.tracking.start import lag
from turnaround.tracking.ui import HOST, free_port, serve

RUN = "seq2seq-22222"


@contextmanager
def serving(workshop: Workshop, port: int) -> Iterator[None]:
    """MLflow's server on the workshop's store."""
    with serve(workshop.uri, port, workshop.project / "server.log") as server:
        deadline = time.monotonic() + 200
        while not server.answers():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_server_that_dies_and_comes_back_gets_everything_once(workshop: Workshop) -> None:
    port = free_port()
    uri = f"http://{HOST}:{port}"
    workshop.submit(RUN, workshop.plan(tracking=Tracking(uri=uri)))
    rounds = Rounds(workshop.home, uri)
    workshop.train(RUN, range(1, 201))
    with serving(workshop, port):
        rounds.go()
    workshop.train(RUN, range(201, 301))
    began = time.monotonic()
    rounds.go()
    assert time.monotonic() - began < 30  # MLflow itself would try for four minutes
    told = lag(workshop.home, uri)
    assert told is not None
    assert told.behind == 120
    workshop.train(RUN, range(301, 401))
    workshop.end(RUN)
    with serving(workshop, port):
        while rounds.go():
            pass
    assert lag(workshop.home, uri) is None
    curve = sorted((step, value) for key, step, value, _ in workshop.rows() if key == "train/loss")
    assert curve == [(step, math.exp(-step / 40)) for step in range(1, 401)]
    files = {path.name for path in Path(workshop.project).rglob("artifacts/*")}
    assert {"config.json", "log.txt", "samples.json", "plots"} <= files
