"""What answers at an address that is no dashboard's, and addresses that are none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from turnaround.errors import LaunchError, PlanError
from turnaround.launch.dashboard import Dashboard


@pytest.fixture
def answering() -> Iterator[tuple[str, list[bytes]]]:
    """A server's address, and what it answers."""
    said: list[bytes] = []

    class Server(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[0])

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", said
        server.shutdown()


@pytest.mark.parametrize("page", [b"<html>", b"[]", b"{}", b"null"])
def test_another_server_is_told_from_a_dashboard(
    answering: tuple[str, list[bytes]], page: bytes
) -> None:
    address, said = answering
    said.append(page)
    with pytest.raises(LaunchError, match=address) as error:
        Dashboard(address).nodes()
    assert "is it a Ray dashboard" in error.value.hint


@pytest.mark.parametrize("address", ["http://[::1", "nonsense://there"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises((PlanError, LaunchError)) as error:
        Dashboard(address).nodes()
    assert address in error.value.message


def test_nodes_are_those_of_the_state_api(answering: tuple[str, list[bytes]]) -> None:
    address, said = answering
    said.append(b'{"data": {"result": {"result": [{"node_id": "a"}]}}}')
    assert Dashboard(address).nodes() == [{"node_id": "a"}]
