"""A Ray cluster's dashboard: its Jobs and State APIs, by plain HTTP.

    dashboard = Dashboard("http://10.0.0.5:8265")
    dashboard.get("/api/v0/nodes")
    dashboard.post("/api/jobs/", {"entrypoint": …})
    for line in dashboard.lines(job, "turnaround> "): …

The token is Ray's own, from $RAY_AUTH_TOKEN, $RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from turnaround.errors import LaunchError, PlanError
from turnaround.launch import websocket

_ANSWER = 60.0  # seconds
_NONE = "is it a Ray dashboard, with ray[default] installed there?"


class Silent(LaunchError):
    """Nobody answers; later somebody may."""


class Missing(LaunchError):
    """There is no such thing there."""


class Twice(LaunchError):
    """There is a job of that name already."""


class Dashboard:
    """One that listens at an address."""

    def __init__(self, address: str) -> None:
        self.address = address

    def get(self, path: str) -> Any:
        """What it says there."""
        return self._read(self._ask("GET", path))

    def post(self, path: str, asked: dict[str, Any]) -> Any:
        """Its answer."""
        return self._read(self._ask("POST", path, json.dumps(asked).encode()))

    def nodes(self) -> list[dict[str, Any]]:
        """The cluster's nodes, dead ones too, as its State API tells them."""
        said = self.get("/api/v0/nodes?detail=true&limit=1000")
        try:
            return list(said["data"]["result"]["result"])
        except (KeyError, TypeError):
            raise LaunchError(f"{self.address} tells of no nodes", _NONE) from None

    def put(self, path: str, content: bytes) -> None:
        """Bytes, to be kept there."""
        self._ask("PUT", path, content)

    def lines(self, job: str, mark: str) -> Iterator[dict[str, Any]]:
        """The JSON that a job printed after `mark`, from its first line; waits for more."""
        rest = ""
        for text in websocket.texts(f"{self.address}/api/jobs/{job}/logs/tail", _headers()):
            *lines, rest = (rest + text).split("\n")
            for line in lines:
                if line.startswith(mark):
                    yield json.loads(line.removeprefix(mark))

    def _read(self, said: bytes) -> Any:
        try:
            return json.loads(said)
        except ValueError:
            raise LaunchError(f"{self.address} answers, but not as a dashboard", _NONE) from None

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json", **_headers()}
        try:
            request = urllib.request.Request(f"{self.address}{path}", body, headers, method=method)
            with urllib.request.urlopen(request, timeout=_ANSWER) as reply:
                return bytes(reply.read())
        except urllib.error.HTTPError as error:
            raise _refusal(self.address, error) from None
        except ValueError as error:
            message = f"cluster.address={self.address} is no address: {error}"
            raise PlanError(message, "cluster.address=http://HOST:8265") from None
        except (OSError, http.client.HTTPException) as error:
            raise Silent(
                f"{self.address} does not answer: {getattr(error, 'reason', error)}",
                "is that where the cluster's dashboard is?",
            ) from None


def _headers() -> dict[str, str]:
    token = _token()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _token() -> str:
    """As Ray's own clients look for it."""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    try:
        return Path(path).expanduser().read_text().strip()
    except OSError:
        return ""


def _refusal(address: str, error: urllib.error.HTTPError) -> LaunchError:
    said = error.read().decode(errors="replace").strip().splitlines() or [str(error.reason)]
    said = [line for line in said if re.match(r"\S*Error: ", line)] or said  # of a traceback
    if any("already exists" in line for line in said):
        return Twice(said[-1])
    if error.code in (401, 403):
        hint = "set RAY_AUTH_TOKEN_PATH to the file with that cluster's token"
        return LaunchError(f"{address} does not let us in: {said[-1]}", hint)
    if error.code == 404:
        return Missing(f"{address} does not know {error.url}: {said[-1]}")
    return LaunchError(f"{address} answers {error.code}: {said[-1]}", _NONE)
