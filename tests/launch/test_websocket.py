"""Text over a websocket, from a server of a few lines."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator

import pytest

from turnaround.launch.websocket import texts

YES = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"


def frame(kind: int, data: bytes, final: bool = True) -> bytes:
    first = bytes([(0x80 if final else 0) | kind])
    if len(data) < 126:
        return first + bytes([len(data)]) + data
    if len(data) < 1 << 16:
        return first + bytes([126]) + struct.pack("!H", len(data)) + data
    return first + bytes([127]) + struct.pack("!Q", len(data)) + data


class Server:
    """Answers one caller with these bytes, and keeps what it was asked and told."""

    def __init__(self, *parts: bytes) -> None:
        self.asked = b""
        self.told = b""
        self._parts = parts
        self._door = socket.create_server(("127.0.0.1", 0))
        self.url = "ws://{}:{}/tail".format(*self._door.getsockname())
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def _serve(self) -> None:
        with self._door, self._door.accept()[0] as end:
            while not self.asked.endswith(b"\r\n\r\n"):
                self.asked += end.recv(4096)
            for part in self._parts:
                end.sendall(part)
            end.shutdown(socket.SHUT_WR)
            while more := end.recv(4096):
                self.told += more


@pytest.fixture
def serving() -> Iterator[list[Server]]:
    made: list[Server] = []
    yield made
    for server in made:
        server.thread.join(5)
        assert not server.thread.is_alive()


def test_messages_come_whole_whatever_their_size(serving: list[Server]) -> None:
    sizes = (3, 200, 70_000)
    server = Server(YES, *(frame(1, b"x" * size) for size in sizes), frame(8, b""))
    serving.append(server)
    assert [len(text) for text in texts(server.url, {"Authorization": "Bearer t"})] == [*sizes]
    assert b"Authorization: Bearer t\r\n" in server.asked


def test_a_message_in_pieces_is_one_and_a_ping_is_answered(serving: list[Server]) -> None:
    pieces = (frame(1, b"one ", final=False), frame(9, b"there?"), frame(0, b"message"))
    server = Server(YES, *pieces, frame(8, b""))
    serving.append(server)
    assert list(texts(server.url, {})) == ["one message"]
    server.thread.join(5)
    assert server.told[0] == 0x80 | 10
    assert server.told[1] == 0x80 | len(b"there?")  # a client's frames are masked


def test_a_server_that_goes_away_is_an_error(serving: list[Server]) -> None:
    server = Server(YES, frame(1, b"half a message")[:5])
    serving.append(server)
    with pytest.raises(ConnectionResetError):
        list(texts(server.url, {}))


def test_a_server_that_is_no_websocket_says_what_it_is(serving: list[Server]) -> None:
    server = Server(b"HTTP/1.1 404 Not Found\r\n\r\n")
    serving.append(server)
    with pytest.raises(ConnectionError, match="404 Not Found"):
        list(texts(server.url, {}))
