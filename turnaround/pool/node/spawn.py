"""The forkserver: a process that has imported torch but no user code, and forks workers from it.

    python -m turnaround.pool.node.spawn FD    # FD: its end of a socket pair with the node daemon

A forked worker makes its first step 0.1 s later; a new interpreter would need 2 to 4 s for its
imports. One thread, no CUDA, no user code: a child starts from a clean copy every time. Over the
socket, one JSON line each:

    daemon → {"fork": {...}} with descriptors (log, events[, rendezvous])
             → {"forked": pid}, {"refused": why}
    spawn  → {"ready": protocol}, {"complete": modules}
             {"exited": pid, "status": n}                             (n < 0: killed by signal -n)

It can fork as soon as it has what every first step needs, and imports the rest while it has nothing
to do: a cold start does not wait for what one layout or one recipe needs.
When the daemon goes away the socket closes, this process ends, and its children with it. What a
worker has started, loaders of data for one, ends with the worker, but for sessions of their own.
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

from turnaround.spec import PROTOCOL, Assignment, Plan, acquaint, from_dict, from_json

# What every first step needs. CPU seconds: torch 1.3, torch._dynamo, which the first optimizer
# imports and which brings DTensor and FSDP along, 1.1, ours 0.03.
FIRST = ("torch", "torch._dynamo", "turnaround.worker")
# What some need: pipelines 0.02, the scores and tokenizers of recipes 0.04, and every module of
# these packages of ours.
THEN = ("numpy.ctypeslib", "torch.distributed.pipelining", "tokenizers", "sacrebleu.metrics.bleu")
ROOMS = ("engine", "nn", "corpora")
_QUIET = 0.05  # seconds without a request after which the next of them is imported
_PR_SET_PDEATHSIG = 1
STAYS = 20.0  # seconds that a worker waits for another run
SOUND = (0, 75)  # exit codes after which it does: its run is done, or saved and goes on later
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

    acquaint(Plan, Assignment)
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
    request, fds = _heard(line)
    if request is None:
        return False
    told = _fork(line, request, fds)
    for fd in fds:
        os.close(fd)
    _say(line, told)
    return True


def _fork(line: socket.socket, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
    """What the daemon is told: the worker's pid, or why there is none."""
    try:
        pid = os.fork()
    except OSError as error:  # no process or no memory is left: the workers that are there go on
        return {"refused": str(error)}
    if pid == 0:
        line.close()
        _child(request, fds)
    return {"forked": pid}


def _heard(line: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """A request and its descriptors; none when the other end is closed."""
    text, fds, _, _ = socket.recv_fds(line, 1 << 20, 8)
    while text and not text.endswith(b"\n"):
        text += line.recv(1 << 20)
    return (json.loads(text)["fork"] if text else None), fds


def _reap(line: socket.socket) -> None:
    """Take the exit codes of workers, and end what each has left of its group."""
    while True:
        try:
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if ended is None:
            return
        pid = ended.si_pid
        with contextlib.suppress(ProcessLookupError):  # it was killed before it led one
            os.killpg(pid, signal.SIGKILL)  # before it is waited for: its id is nobody else's yet
        _, status = os.waitpid(pid, 0)
        _say(line, {"exited": pid, "status": os.waitstatus_to_exitcode(status)})


def _say(line: socket.socket, message: dict[str, Any]) -> None:
    line.sendall(json.dumps(message).encode() + b"\n")


def _child(request: dict[str, Any], fds: list[int]) -> None:
    """Become a worker; never returns."""
    code = 1
    try:
        stack = _settle_in()
        stays = socket.socket(fileno=fds.pop()) if request.get("stays") else None
        code = _carry_out(request, fds, stack)
        if stays is not None:
            _stay(stays, code, stack)
    except BaseException:  # the last door: whatever it was goes to the run's log
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _carry_out(request: dict[str, Any], fds: list[int], stack: int) -> int:
    """One rank of one run, in the environment that it is given."""
    log, events, *rendezvous = fds
    _print_to(log)
    if cores := request.get("cores"):
        os.sched_setaffinity(0, cores)
    os.environ.clear()
    os.environ.update(request["environ"])
    plan = from_json(Plan, Path(request["plan"]).read_text())
    assignment = from_dict(Assignment, request["assignment"])
    _answer(assignment, stack)
    module, function = plan.entry.split(":")
    work = getattr(importlib.import_module(module), function)

    def send(text: str) -> None:
        os.write(events, text.encode() + b"\n")

    code = int(work(plan, assignment, send, rendezvous[0] if rendezvous else None))
    sys.stdout.flush()
    sys.stderr.flush()
    for descriptor in (log, events):
        os.close(descriptor)  # its run's files are at their end
    return code


def _stay(line: socket.socket, code: int, stack: int) -> None:
    """Do as the daemon asks, run after run; until one fails, or nobody asks."""
    line.settimeout(STAYS)
    while True:
        _leave_behind()
        _say(line, {"done": code, "stays": code in SOUND})
        if code not in SOUND:
            return
        try:
            request, fds = _heard(line)
        except TimeoutError:
            return
        if request is None:
            return
        code = _carry_out(request, fds, stack)


def _leave_behind() -> None:
    """Nothing of a run is held that is over: neither its log nor memory of a GPU."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    _print_to(nothing)
    os.close(nothing)
    torch = sys.modules["torch"]
    if torch.cuda.is_initialized():
        gc.collect()
        torch.cuda.empty_cache()


def _answer(assignment: Assignment, stack: int) -> None:
    """On a signal, every thread's stack goes to a file, whatever this process is at just then."""
    file = Path(assignment.folder) / STACK.format(rank=assignment.rank)
    with file.open("ab") as opened:
        os.dup2(opened.fileno(), stack)
    faulthandler.register(signal.SIGUSR1, stack, all_threads=True)


def _settle_in() -> int:
    """A session of its own, which dies with the forkserver; a descriptor for stacks."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    for name in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    return nothing


def _print_to(log: int) -> None:
    """What is printed goes there."""
    for target in (1, 2):
        os.dup2(log, target)


if __name__ == "__main__":
    main()
