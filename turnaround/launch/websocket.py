"""Text that a server sends over a websocket (RFC 6455), as it comes.

    for text in texts("ws://10.0.0.5:8265/api/jobs/x/logs/tail", {"Authorization": "Bearer …"}):
        print(text, end="")

Nothing else of websockets is here: it is how a Ray dashboard lets a job's output be followed.
"""

from __future__ import annotations

import base64
import http.client
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator
from typing import IO
from urllib.parse import urlsplit

_CONTINUATION, _TEXT, _CLOSE, _PING, _PONG = 0, 1, 8, 9, 10
_CONNECT = 20.0  # seconds
_PATIENCE = 120.0  # seconds without a word


def texts(url: str, headers: dict[str, str]) -> Iterator[str]:
    """Each message, until the server closes; OSError when it cannot be reached or goes away."""
    with _opened(url) as end, end.makefile("rb") as file:
        _shake(end, file, url, headers)
        end.settimeout(_PATIENCE)
        whole = b""
        while True:
            final, kind, data = _frame(file)
            if kind == _CLOSE:
                return
            if kind == _PING:
                end.sendall(_masked(_PONG, data))
            elif kind in (_TEXT, _CONTINUATION):
                whole += data
                if final:
                    yield whole.decode(errors="replace")
                    whole = b""


def _opened(url: str) -> socket.socket:
    parts = urlsplit(url)
    secure = parts.scheme in ("https", "wss")
    address = (parts.hostname or "", parts.port or (443 if secure else 80))
    plain = socket.create_connection(address, timeout=_CONNECT)
    if not secure:
        return plain
    return ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)


def _shake(end: socket.socket, file: IO[bytes], url: str, headers: dict[str, str]) -> None:
    parts = urlsplit(url)
    asked = {
        "Host": parts.netloc,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Version": "13",
        **headers,
    }
    lines = [f"GET {parts.path} HTTP/1.1", *(f"{name}: {value}" for name, value in asked.items())]
    end.sendall("\r\n".join([*lines, "", ""]).encode())
    status = file.readline().decode(errors="replace").split(" ", 2)
    http.client.parse_headers(file)
    if status[1:2] != ["101"]:
        raise ConnectionError(f"no websocket at {url}: {' '.join(status[1:]).strip()}")


def _frame(file: IO[bytes]) -> tuple[bool, int, bytes]:
    """(last of its message, kind, content)."""
    first, second = _read(file, 2)
    length = second & 0x7F
    if length == 126:
        (length,) = struct.unpack("!H", _read(file, 2))
    elif length == 127:
        (length,) = struct.unpack("!Q", _read(file, 8))
    return bool(first & 0x80), first & 0x0F, _read(file, length)


def _read(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ConnectionResetError("the websocket was cut")
    return data


def _masked(kind: int, data: bytes) -> bytes:
    """A frame of a client's, of at most 125 bytes."""
    mask = secrets.token_bytes(4)
    hidden = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
    return bytes([0x80 | kind, 0x80 | len(data)]) + mask + hidden
