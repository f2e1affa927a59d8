"""The forkserver: a process that has imported torch but no user code, and forks workers from it.

    python -m turnaround.pool.spawn FD        # FD: its end of a socket pair with the node daemon

A forked worker makes its first step 0.1 s later; a new interpreter would need 2 to 4 s for its
imports. One thread, no CUDA, no user code: a child starts from a clean copy every time. Over the
socket, one JSON line each:

    daemon → {"fork": {...}} with descriptors (log, events[, rendezvous])   → {"forked": pid}
    spawn  → {"ready": protocol}, {"complete": modules}
             {"exited": pid, "status": n}                             (n < 0: killed by signal -n)

It can fork as soon as it has what every first step needs, and imports the rest while it has nothing
to do: a cold start does not wait for what one layout or one recipe needs.
When the daemon goes away the socket closes, this process ends, and its children with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from turnaround.spec import PROTOCOL, Assignment, Plan, from_dict, from_json

# What every first step needs. CPU seconds: torch 1.3, torch._dynamo, which the first optimizer
# imports and which brings DTensor and FSDP along, 1.1, ours 0.03.
FIRST = ("torch", "torch._dynamo", "turnaround.worker")
# What some need: pipelines 0.02, the scores and tokenizers of recipes 0.04, and every module of
# these packages of ours.
THEN = ("numpy.ctypeslib", "torch.distributed.pipelining", "tokenizers", "sacrebleu.metrics.bleu")
ROOMS = ("engine", "nn", "corpora")
_QUIET = 0.05  # seconds without a request after which the next of them is imported
_PR_SET_PDEATHSIG = 1
STACK = "stack-{rank}.txt"  # in the run's folder: where a rank that was asked is


def main() -> None:
    """Serve until the daemon's end of the socket closes."""
    line = socket.socket(fileno=int(sys.argv[1]))
    _prepare()
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _say(line, {"ready": PROTOCOL})
    selector = selectors.DefaultSelector()
    selector.register(wake, selectors.EVENT_READ)
    selector.register(line, selectors.EVENT_READ)
    left = then()
    while True:
        ready = {key.fileobj for key, _ in selector.select(_QUIET if left else None)}
        if left and not ready:
            _load(left.pop(0))
            if not left:
                gc.freeze()
                _say(line, {"complete": len(sys.modules)})
        if wake in ready:
            os.read(wake, 4096)
            _reap(line)
        if line in ready and not _serve(line):
            return


def _prepare() -> None:
    """All that a fork has to wait for."""
    gc.disable()  # 0.4 s of collections that find next to nothing
    for name in FIRST:
        importlib.import_module(name)
    _warm()
    gc.enable()
    gc.freeze()  # the children share these pages as long as nobody's collector touches them


def then() -> list[str]:
    """What is imported when there is nothing to do, most wanted first."""
    rooms = [importlib.import_module(f"turnaround.{room}") for room in ROOMS]
    found = (pkgutil.walk_packages(room.__path__, f"{room.__name__}.") for room in rooms)
    return [*THEN, *(module.name for room in found for module in room)]


def _load(name: str) -> None:
    """Import it, where this interpreter has it; who needs it says so better than we could."""
    with contextlib.suppress(Exception):  # a module of somebody's environment may raise anything
        importlib.import_module(name)


def _warm() -> None:
    """One small step, so that the children do not pay for first calls (56 → 25 ms measured)."""
    import torch

    torch.set_num_threads(1)
    model = torch.nn.LSTM(8, 8)
    optimizer = torch.optim.Adam(model.parameters())
    with torch.no_grad():
        model(torch.zeros(2, 1, 8))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()


def _serve(line: socket.socket) -> bool:
    """Take one request and fork; False when the daemon has gone."""
    text, fds, _, _ = socket.recv_fds(line, 1 << 20, 8)
    if not text:
        return False
    while not text.endswith(b"\n"):
        text += line.recv(1 << 20)
    request = json.loads(text)["fork"]
    pid = os.fork()
    if pid == 0:
        line.close()
        _child(request, fds)
    for fd in fds:
        os.close(fd)
    _say(line, {"forked": pid})
    return True


def _reap(line: socket.socket) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _say(line, {"exited": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(line: socket.socket, message: dict[str, Any]) -> None:
    line.sendall(json.dumps(message).encode() + b"\n")


def _child(request: dict[str, Any], fds: list[int]) -> None:
    """Become a worker; never returns."""
    code = 1
    try:
        log, events, *rendezvous = fds
        _settle_in(log, request["environ"])
        plan = from_json(Plan, Path(request["plan"]).read_text())
        assignment = from_dict(Assignment, request["assignment"])
        _answer(assignment)
        module, function = plan.entry.split(":")
        work = getattr(importlib.import_module(module), function)

        def send(text: str) -> None:
            os.write(events, text.encode() + b"\n")

        code = work(plan, assignment, send, rendezvous[0] if rendezvous else None)
    except BaseException:  # the last door: whatever it was goes to the run's log
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _answer(assignment: Assignment) -> None:
    """On a signal, every thread's stack goes to a file, whatever this process is at just then."""
    file = Path(assignment.folder) / STACK.format(rank=assignment.rank)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    faulthandler.register(signal.SIGUSR1, descriptor, all_threads=True)


def _settle_in(log: int, environ: dict[str, str]) -> None:
    """A session, a log and an environment of its own; dies with the forkserver."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for name in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((nothing, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.environ.clear()
    os.environ.update(environ)


if __name__ == "__main__":
    main()
