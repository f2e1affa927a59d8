"""Requests and replies between the processes of one machine: JSON lines over a unix socket.

    serve(path, handle)          # handle(request: dict) -> reply: dict, in a thread per caller
    reply = ask(path, {"op": "submit", "plan": …})

An error that `handle` raises is raised again by `ask`, as the same class.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from turnaround import errors

Handle = Callable[[dict[str, Any]], dict[str, Any]]


def ask(path: Path, request: dict[str, Any], timeout: float | None = 30.0) -> dict[str, Any]:
    """The reply to one request; OSError when nobody answers."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(timeout)
        line.connect(str(path))
        line.sendall(json.dumps(request).encode() + b"\n")
        with line.makefile("rb") as file:
            text = file.readline()
    if not text:
        raise ConnectionResetError(f"{path} closed without an answer")
    reply: dict[str, Any] = json.loads(text)
    if "error" in reply:
        raise _error(reply["error"])
    return reply


def serve(path: Path, handle: Handle) -> None:
    """Answer on `path` from now on, in threads. Takes the name over from a dead server."""
    fresh = f"{path}.{os.getpid()}"
    server = _Server(fresh, handle)
    os.chmod(fresh, 0o600)
    os.rename(fresh, path)  # no moment without a socket, no stale one to unlink
    threading.Thread(target=server.serve_forever, name=f"serve {path.name}", daemon=True).start()


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: str, handle: Handle) -> None:
        Path(path).unlink(missing_ok=True)
        self.handle_json = handle
        super().__init__(path, _Caller)


class _Caller(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        if not (line := self.rfile.readline()):
            return
        try:
            reply = self.server.handle_json(json.loads(line))
        except errors.TurnaroundError as error:
            kind = type(error).__name__
            reply = {"error": {"kind": kind, "message": error.message, "hint": error.hint}}
        except Exception as error:  # the door of a daemon: the caller is told, the daemon lives on
            reply = {
                "error": {
                    "kind": "LaunchError",
                    "message": repr(error),
                    "hint": "see the pool's log",
                }
            }
        with contextlib.suppress(BrokenPipeError):  # the caller left
            self.wfile.write(json.dumps(reply).encode() + b"\n")


def _error(said: dict[str, str]) -> errors.TurnaroundError:
    kind = getattr(errors, said["kind"], errors.LaunchError)
    made: errors.TurnaroundError = kind(said["message"], said["hint"])
    return made
