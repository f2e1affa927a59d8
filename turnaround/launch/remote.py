"""`cluster=remote`: a run on another Ray cluster, reached through its dashboard (the Ray Jobs API).

    remote = Remote("http://10.0.0.5:8265", journal)
    remote.inventory(plan.cluster)       # what that cluster offers
    run = remote.submit(plan)
    remote.ensure(run)                   # a driver there has the run; said twice, it is one run
    remote.follow(run, print)            # its events into this journal, until it is over
    remote.stop(run)                     # saved first

Nothing of Ray is needed here. A run on another cluster has its folder there; events, output and
the best parameters come back as long as somebody listens, and later from where that ended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import io
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from turnaround.errors import Interrupted, LaunchError, PlanError, TurnaroundError
from turnaround.journal import Journal, Run
from turnaround.launch.dashboard import Dashboard, Missing, Silent, Twice
from turnaround.launch.scribe import Scribe
from turnaround.pool import machines
from turnaround.pool.machines import Machine
from turnaround.snapshot import parcel
from turnaround.spec import Cluster, Inventory, Plan, Status, Tracking, to_json
from turnaround.tracking import start as recorders

MARK = "turnaround> "  # of the driver's lines
_SAVE = 60  # seconds a driver has for a run to save
_BEGIN = 60.0  # seconds a job may take to begin
_LEAVE = 60.0  # seconds a driver may take to go after its last word
_AGAIN = 2.0  # seconds between tries when the cluster does not answer
_JOBS = 50  # drivers that one run may have had
_ENDED = ("STOPPED", "FAILED", "SUCCEEDED")  # of jobs
Say = Callable[[str], None]


class Remote:
    """One cluster, seen from outside."""

    def __init__(self, address: str | None, journal: Journal) -> None:
        if not address:
            hint = "cluster.address=http://HOST:8265, where its dashboard is"
            raise PlanError("cluster=remote needs the address of a cluster", hint)
        self.address = address.rstrip("/") if "://" in address else f"http://{address}"
        self.dashboard = Dashboard(self.address)
        self.journal = journal

    # ── what is there ──

    def machines(self) -> list[Machine]:
        """The cluster's living nodes."""
        return [_machine(node) for node in self.dashboard.nodes() if node["state"] == "ALIVE"]

    def inventory(self, cluster: Cluster) -> Inventory:
        """What a plan may use there."""
        return machines.inventory(self.machines(), cluster)

    # ── a run ──

    def submit(self, plan: Plan, spans: dict[str, Any] | None = None) -> Run:
        """A run of this journal, and a driver that has it there."""
        run = self.journal.submit(plan, self.journal.new_id(plan.recipe.name), spans=spans)
        try:
            self.ensure(run)
        except TurnaroundError as error:
            code = {"exit_code": error.exit_code}
            self.journal.mark(run.id, Status.FAILED, error.message, **code)
            raise
        return run

    def resume(self, run: Run) -> None:
        """Let a run that was stopped or failed go on from its checkpoint."""
        fresh = {"failures": 0, "ended": None, "exit_code": None, "recorded": not run.tracking}
        self.ensure(run, resume=True)
        self.journal.mark(run.id, Status.QUEUED, "resumed", attempt=run.attempt, **fresh)

    def ensure(self, run: Run, resume: bool = False) -> str:
        """The id of the job that drives the run, made if there is none that lives."""
        number, job = -1, None
        for number in range(_JOBS):
            if (found := self._job(run.id, number)) is None:
                break
            job = found
        else:
            number = _JOBS
        if job and job["status"] not in _ENDED and not (resume and self._leaves(job)):
            return str(job["submission_id"])
        word = "submit" if job is None else "resume" if resume else "watch"
        return self._drive(run, number, word)

    def stop(self, run: Run) -> None:
        """Ask the run to save and end; it is over when the journal says so."""
        job, deadline = self.ensure(run), time.monotonic() + _BEGIN
        while (
            self.dashboard.get(f"/api/jobs/{job}")["status"] == "PENDING"
            and time.monotonic() < deadline
        ):
            time.sleep(0.2)  # Ray would drop it, and the run go on
        self.dashboard.post(f"/api/jobs/{job}/stop", {})

    def follow(self, run: Run, say: Say) -> None:
        """Take down what happens, until the run is over. One at a time does; others read that."""
        with _alone(self.journal.folder(run.id)) as first:
            if first:
                plan = self.journal.plan(run.id)
                if plan.tracking.name == "mlflow" and plan.tracking.uri:
                    uri, python = plan.tracking.uri, plan.place.interpreter
                    recorders.ensure(self.journal.root, uri, python)
                self._follow(run, say)

    def _follow(self, run: Run, say: Say) -> None:
        scribe, silent = Scribe(self.journal, run.id), False
        while not self.journal.run(run.id).status.over:
            try:
                job = self.ensure(run)
                spoke = scribe.listen(self.dashboard.lines(job, MARK))
                silent = False
            except (OSError, Silent):
                if not silent:
                    say(f"{self.address} does not answer; the run goes on there")
                silent = True
                time.sleep(_AGAIN)
                continue
            if not spoke:
                self._give_up(run, job)

    def _give_up(self, run: Run, job: str) -> None:
        """The driver ended without a word: something is missing there."""
        found = self.dashboard.get(f"/api/jobs/{job}")
        if found["status"] == "STOPPED" and job == run.id:
            reason = "stopped before it began"
            self.journal.mark(run.id, Status.STOPPED, reason, exit_code=Interrupted.exit_code)
            return
        said = self.dashboard.get(f"/api/jobs/{job}/logs")["logs"].strip().splitlines()
        last = said[-1] if said else found.get("message") or "it said nothing"
        message = f"the driver could not work on {self.address}: {last}"
        self.journal.mark(run.id, Status.FAILED, message, exit_code=LaunchError.exit_code)

    # ── jobs ──

    def _leaves(self, job: dict[str, Any]) -> bool:
        """One that has told of the run's end is gone a moment later; another resumes it already."""
        deadline = time.monotonic() + _LEAVE
        while time.monotonic() < deadline:
            if self.dashboard.get(f"/api/jobs/{job['submission_id']}")["status"] in _ENDED:
                return True
            time.sleep(0.1)
        return False

    def _job(self, run: str, number: int) -> dict[str, Any] | None:
        try:
            return dict(self.dashboard.get(f"/api/jobs/{_name(run, number)}"))
        except Missing:
            return None

    def _drive(self, run: Run, number: int, word: str) -> str:
        """A job, by a name that Ray gives to one only."""
        variables = {"RAY_JOB_STOP_WAIT_TIME_S": str(_SAVE)}
        environment: dict[str, Any] = {"env_vars": variables}
        if word == "submit":
            environment["working_dir"] = self._upload(self.journal.plan(run.id))
        asked = {
            "entrypoint": f"python -P -m turnaround.pool.head.driver {run.id} {word}",
            "submission_id": _name(run.id, number),
            "runtime_env": environment,
        }
        with contextlib.suppress(Twice):  # somebody else was first
            self.dashboard.post("/api/jobs/", asked)
        return _name(run.id, number)

    def _upload(self, plan: Plan) -> str:
        """Where the cluster has the plan, its code and its data now."""
        packed = _packed(plan, self.journal.root, self.address)
        name = f"_ray_pkg_{hashlib.sha256(packed).hexdigest()[:16]}.zip"
        self.dashboard.put(f"/api/packages/gcs/{name}", packed)
        return f"gcs://{name}"


# ── what is sent ──


def _packed(plan: Plan, home: Path, address: str) -> bytes:
    """The upload: the plan, its code and its data, as `pool/head/driver.py` unpacks them."""
    if plan.init_from is not None:
        message = f"init_from={plan.init_from} is a run of this machine, not of {address}"
        raise PlanError(message, "start from it here: cluster=pool")
    cluster = dataclasses.replace(plan.cluster, name="pool", address=None)
    sent = dataclasses.replace(plan, cluster=cluster, tracking=Tracking("none"))
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", zipfile.ZIP_DEFLATED) as whole:
        _add(whole, "plan.json", to_json(sent).encode())
        _add(whole, "code.tar", parcel.pack(home / "snapshots" / str(plan.place.snapshot)))
        if plan.place.data:
            _add(whole, "data.tar", parcel.packed_data(plan.data, address))
    return room.getvalue()


def _add(whole: zipfile.ZipFile, name: str, content: bytes) -> None:
    """The same bytes at any hour: the archive is named by its hash."""
    info = zipfile.ZipInfo(name)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o644 << 16
    whole.writestr(info, content)


# ── small things ──


def _name(run: str, number: int) -> str:
    return f"{run}.{number}" if number else run


def _machine(node: dict[str, Any]) -> Machine:
    """As `ray.nodes()` would have it."""
    head = {"node:__internal_head__": 1.0} if node.get("is_head_node") else {}
    return machines.told(
        {
            "NodeID": node["node_id"],
            "NodeManagerAddress": node["node_ip"],
            "Resources": {**(node.get("resources_total") or {}), **head},
            "Labels": node.get("labels"),
        }
    )


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Whether nobody else on this machine listens to that run."""
    with (folder / "remote.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
