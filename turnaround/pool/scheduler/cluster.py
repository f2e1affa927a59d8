"""The machines of a Ray cluster, an agent on each, and what they say of their gangs.

    cluster = Cluster(journal, agent, wake)       # inside the scheduler's actor; looks by itself
    cluster.machines()                            # those whose agent has answered
    cluster.start(run, 1, plan, places)           # fork a gang, on all its machines
    cluster.parts("lm-k3x9e/1")                   # its state by machine

Whatever joins the Ray head gets an agent, pinned to it; code, and data if it is small, travel
through Ray's object store. A machine that Ray gives up is dropped with all that was on it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from turnaround.errors import LaunchError, TurnaroundError
from turnaround.journal import Journal
from turnaround.pool import machines as offers
from turnaround.pool.machines import Machine
from turnaround.pool.messages import wire
from turnaround.pool.messages.mail import Mail
from turnaround.pool.messages.offset import Clocks
from turnaround.pool.messages.post import opened
from turnaround.pool.node.agent import Envoy
from turnaround.pool.node.gang import Placement
from turnaround.pool.node.hang import Stack, told
from turnaround.pool.places import Places
from turnaround.spec import Plan

log = logging.getLogger(__name__)
_LOOK = 1.0  # seconds between looks for machines that came or went: 2 ms each
_ANSWER = 90.0  # seconds
_TOLD = 15.0  # seconds, where the scheduler waits for it
_WATCH = 10.0  # seconds a daemon may say that nothing has changed
_PAUSE, _LONGEST = 0.2, 5.0  # seconds between tries where nobody answers
_FIRST = 30.0  # seconds within which those that were there at first have answered


class Cluster:
    """Who is there, and what they are at."""

    def __init__(self, journal: Journal, agent: Any, wake: Callable[[], None]) -> None:
        self.mail = Mail(journal, self.call)
        self._places = Places(journal.root)
        self._clocks = Clocks(lambda machine: float(self.ask(machine, {"op": "hello"})["time"]))
        self._wake = wake
        self.home = ray.get_runtime_context().get_node_id()  # where the runs' folders are
        self._agents: dict[str, Any] = {self.home: agent}
        self._known: dict[str, Machine] = {}  # whose agent has answered
        self._seen: set[str] = set()  # that Ray has named
        self._said: dict[str, dict[str, Any]] = {}  # by machine: "run/attempt" → state
        self.lost: dict[str, str] = {}  # by "run/attempt": what became of a part of it
        self._begun: dict[str, int] = {}  # by machine: its version since its newest gang began
        self._guard = threading.RLock()
        self._since = time.monotonic()
        threading.Thread(target=self._look, daemon=True).start()

    # ── what is known ──

    @property
    def heard(self) -> bool:
        """Everybody who may know of a gang has spoken."""
        with self._guard:
            silent = self._seen - self._known.keys()
            late = time.monotonic() - self._since > _FIRST
            return self.home in self._known and (not silent or late)

    def machines(self) -> list[Machine]:
        """Those that can be given work."""
        with self._guard:
            return list(self._known.values())

    def gangs(self) -> dict[str, dict[str, dict[str, Any]]]:
        """The states of every gang, by "run/attempt" and machine."""
        with self._guard:
            found: dict[str, dict[str, dict[str, Any]]] = {}
            for machine, gangs in self._said.items():
                for key, state in gangs.items():
                    found.setdefault(key, {})[machine] = state
            return found

    # ── asking ──

    def call(self, machine: str, method: str, *words: Any, patience: float = _ANSWER) -> Any:
        """What the agent of that machine answers."""
        try:
            agent = self._agents[machine]
            return ray.get(getattr(agent, method).remote(*words), timeout=patience)
        except (KeyError, ray.exceptions.RayError) as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, TurnaroundError):
                raise cause from None
            raise LaunchError(
                f"the agent of {self._name(machine)} does not answer: {error!r:.200}",
                "it is being restarted",
            ) from error

    def ask(self, machine: str, request: dict[str, Any], patience: float = _ANSWER) -> Any:
        """What the daemon of that machine answers; ours is asked without Ray, 3 ms cheaper."""
        if machine == self.home:
            try:
                return wire.ask(self._places.node, request, timeout=patience)
            except OSError as error:  # its agent knows whether it can be started again
                log.info("the daemon here does not answer: %s", error)
        return self.call(machine, "ask", request, patience=patience)

    def tell(self, key: str, request: dict[str, Any]) -> None:
        """Every machine that has a part of the gang; LaunchError if one could not be told."""
        run, attempt = key.rsplit("/", 1)
        words = {**request, "run": run, "attempt": int(attempt)}
        failed = None
        for machine in self.gangs().get(key, {}):
            try:
                self.ask(machine, words, patience=_TOLD)
            except LaunchError as error:
                failed = error
        if failed:
            raise failed

    def stacks(self, key: str) -> dict[int, Stack]:
        """Where each rank of the gang is."""
        run, attempt = key.rsplit("/", 1)
        request = {"op": "stacks", "run": run, "attempt": int(attempt)}
        found: dict[int, Stack] = {}
        for machine in self.gangs().get(key, {}):
            said = self.ask(machine, request, patience=_TOLD)
            found |= {int(rank): told(**stack) for rank, stack in said.items()}
        return dict(sorted(found.items()))

    def start(self, key: str, plan: Plan, places: list[Placement]) -> None:
        """Fork the gang, the machine of rank 0 first: it says where the ranks meet."""
        run, attempt = key.rsplit("/", 1)
        away = [place.machine for place in places if place.machine != self.home]
        sent = {id: {"plan": self.mail.send(id, self._name(id), run, plan)} for id in away}
        store = None
        for place in places:  # now, as all have what they need: the first ranks wait for the others
            request = {"op": "start", "run": run, "attempt": int(attempt), "size": plan.devices}
            request |= {"placement": asdict(place), "store": store}
            reply = self.ask(place.machine, request | sent.get(place.machine, {}))
            store = reply["store"]
            fresh = {"run": run, "attempt": int(attempt), "running": False, "outcome": None}
            fresh |= {"placement": asdict(place), "codes": [], "stopping": False}
            with self._guard:
                self._said.setdefault(place.machine, {}).setdefault(key, fresh)
                self._begun[place.machine] = reply["version"]

    def forget(self, key: str) -> None:
        """Let the machines drop a gang whose end is in the journal."""
        self.tell(key, {"op": "forget"})
        with self._guard:
            self.lost.pop(key, None)
            for gangs in self._said.values():
                gangs.pop(key, None)

    def _name(self, machine: str) -> str:
        known = self._known.get(machine)
        return known.address if known else machine[:8]

    # ── coming and going ──

    def _look(self) -> None:
        while True:
            try:
                self._compare([offers.told(node) for node in _nodes() if node["Alive"]])
            except Exception:  # the door of a thread that must not die
                log.exception("looking for machines failed; trying again")
            time.sleep(_LOOK)

    def _compare(self, found: list[Machine]) -> None:
        alive = {machine.id for machine in found}
        for machine in found:
            if machine.id not in self._seen:
                self._seen.add(machine.id)
                threading.Thread(target=self._attend, args=[machine], daemon=True).start()
        for id in (self._seen | self._known.keys()) - alive:
            self._drop(id)

    def _drop(self, id: str) -> None:
        with self._guard:
            gone = self._known.pop(id, None)
            self._seen.discard(id)
            self._agents.pop(id, None)
            for key in self._said.pop(id, {}):
                self.lost[key] = f"machine {gone.address if gone else id} was lost"
            self._publish()
        log.warning("machine %s is gone", gone.address if gone else id)
        self._wake()

    def _publish(self) -> None:
        offers.write(self._places, self.machines())

    def _agent(self, machine: Machine) -> Any:
        """The machine's own, made if need be: a detached actor that Ray restarts there."""
        if machine.id not in self._agents:
            pinned = NodeAffinitySchedulingStrategy(machine.id, soft=False)
            how = {"name": f"agent-{machine.id}", "scheduling_strategy": pinned}
            self._agents[machine.id] = lasting(Envoy, **how).remote(machine.address)
        return self._agents[machine.id]

    def _attend(self, machine: Machine) -> None:
        """Hear from a machine, from its first word to its last; the next look begins again."""
        try:
            self._listen(machine)
        finally:  # a mistake of ours ends this thread, and says so; the machine must not stay mute
            self._seen.discard(machine.id)

    def _listen(self, machine: Machine) -> None:
        version, incarnation, heard = -1, None, dict[str, list[int]]()
        pause = _PAUSE
        while machine.id in self._seen:
            try:
                self._agent(machine)
                if machine.id != self.home:
                    self._clocks.look(machine.id)
                request = {"op": "watch", "version": version, "timeout": _WATCH, "heard": heard}
                said = self.ask(machine.id, request)
                heard = self._deliver(machine, said)
            except (TurnaroundError, ray.exceptions.RayError, OSError, ValueError) as error:
                log.warning("machine %s is silent: %s", machine.address, error)
                self._retire(machine)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST)
                continue
            pause = _PAUSE
            if incarnation not in (None, said["incarnation"]):
                self._begun.pop(machine.id, None)  # its daemon is another one
            version, incarnation = said["version"], said["incarnation"]
            self._take(machine, said)

    def _retire(self, machine: Machine) -> None:
        """An agent that did not answer may be dead for good: the next may be another."""
        if machine.id != self.home:
            self._agents.pop(machine.id, None)

    def _deliver(self, machine: Machine, said: dict[str, Any]) -> dict[str, list[int]]:
        """How much of each run's news is in its folder; without all of it a gang has no end."""
        heard, ahead = {}, self._clocks.ahead(machine.id)
        for key, new in said["news"].items():
            try:
                self.mail.receive(machine.id, key.rsplit("/", 1)[0], new, ahead)
                heard[key] = new["upto"]
            except (TurnaroundError, OSError) as error:
                log.warning("news of %s could not be kept, they come again: %s", key, error)
                time.sleep(_PAUSE)
        late = said["news"].keys() - heard.keys()
        said["gangs"] = [opened(gang, late, ahead) for gang in said["gangs"]]
        return heard

    def _take(self, machine: Machine, said: dict[str, Any]) -> None:
        with self._guard:
            if machine.id not in self._seen or said["version"] < self._begun.get(machine.id, -1):
                return  # said before it heard of its newest gang
            gangs = {f"{gang['run']}/{gang['attempt']}": gang for gang in said["gangs"]}
            self._said[machine.id] = gangs
            if machine.id not in self._known:
                self._known[machine.id] = machine
                self._publish()
        self._wake()


def _nodes() -> list[dict[str, Any]]:
    known: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]  # Ray's
    return known


def lasting(cls: type, **how: Any) -> Any:
    """A detached actor that Ray restarts; asked for twice, there is one."""
    return ray.remote(cls).options(
        lifetime="detached",
        get_if_exists=True,
        max_restarts=-1,
        max_concurrency=8,
        num_cpus=0,
        **how,
    )
