"""Messages over TCP: a few JSON fields, and tensors as they lie in memory.

    door = Door("127.0.0.1")                       # listens on a port of its own
    line = call(door.address, door.token, group=3) # from another process
    line.send({"op": "pull"}, torch.zeros(3))
    head, (values,) = line.receive()               # flat, whatever shape they had

Nothing is unpickled, and whoever does not know the token is not listened to. A process group is no
way to talk here: when one of its members dies, its collectives end for all.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import struct
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

PATIENCE = 900.0  # seconds for an answer: another group may take that long over a step
GREETING = 10.0  # seconds for a caller to say who it is
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
KINDS = {str(kind): kind for kind in (*_FLOATS, torch.int32)}
_SIZE = struct.Struct("!I")  # of the head
_MOST = 1 << 20  # bytes of a head
Head = dict[str, Any]


class Line:
    """One end of a connection. What went over it is counted."""

    def __init__(self, end: socket.socket) -> None:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._end = end
        self.sent = self.received = 0  # bytes of tensors

    def send(self, head: Head, *values: Tensor) -> None:
        """All in one message; DistNetworkError when nobody is there to hear it."""
        bodies = [each.detach().cpu().contiguous().flatten().view(torch.uint8) for each in values]
        parts = [[str(v.dtype), len(body)] for v, body in zip(values, bodies, strict=True)]
        text = json.dumps({**head, "parts": parts}).encode()
        try:
            self._end.sendall(_SIZE.pack(len(text)) + text)
            for body in bodies:
                self._end.sendall(body.numpy().data)
                self.sent += len(body)
        except OSError as error:
            raise _gone(error) from None

    def receive(self) -> tuple[Head, list[Tensor]]:
        """The next message; DistNetworkError when there will be none."""
        try:
            (size,) = _SIZE.unpack(self._read(_SIZE.size))
            if size > _MOST:
                raise ValueError(f"a head of {size} bytes")
            head: Head = json.loads(self._read(size))
            return head, [self._tensor(KINDS[kind], length) for kind, length in head["parts"]]
        except (OSError, ValueError, KeyError) as error:
            raise _gone(error) from None

    def _tensor(self, kind: torch.dtype, length: int) -> Tensor:
        body = torch.empty(length, dtype=torch.uint8)
        self._fill(body.numpy().data)
        self.received += length
        return body.view(kind)

    def close(self) -> None:
        """The other end finds nothing more to read."""
        self._end.close()

    def cut(self) -> None:
        """Whoever reads at this end, in another thread, stops too."""
        with contextlib.suppress(OSError):  # the other end was first
            self._end.shutdown(socket.SHUT_RDWR)

    def _read(self, size: int) -> bytes:
        room = bytearray(size)
        self._fill(memoryview(room))
        return bytes(room)

    def _fill(self, room: memoryview) -> None:
        while room:
            count = self._end.recv_into(room)
            if not count:
                raise OSError("it was closed")
            room = room[count:]


class Door:
    """A listening socket, and the word without which nobody gets in."""

    def __init__(self, host: str) -> None:
        self._socket = socket.create_server((host, 0), backlog=512)
        self.address = (host, int(self._socket.getsockname()[1]))
        self.token = secrets.token_hex(16)

    def accept(self) -> socket.socket | None:
        """The next caller; none once the door is closed."""
        try:
            return self._socket.accept()[0]
        except OSError:
            return None

    def greet(self, end: socket.socket) -> tuple[Line, int] | None:
        """A caller's line and its group; none for one that does not know the token."""
        line = Line(end)
        try:
            end.settimeout(GREETING)
            head, _ = line.receive()
            end.settimeout(None)
        except dist.DistNetworkError:
            head = {}
        if hmac.compare_digest(str(head.get("token")), self.token):
            return line, int(head["group"])
        line.close()
        return None

    def close(self) -> None:
        """Nobody gets in any more."""
        with contextlib.suppress(OSError):  # not every system lets a listening socket be shut down
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes `accept`
        self._socket.close()


def call(address: tuple[str, int], token: str, group: int) -> Line:
    """A line to the door at that address."""
    end = socket.create_connection(address, timeout=PATIENCE)
    line = Line(end)
    line.send({"token": token, "group": group})
    return line


def _gone(error: Exception) -> dist.DistNetworkError:
    return dist.DistNetworkError(f"the other end of a service line is gone: {error}")
