"""The facts a Plan rests on, gathered at the door: code, data, git, environment, devices."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from pathlib import Path

from turnaround import __version__, snapshot
from turnaround.config import Config
from turnaround.errors import ConfigError, JournalError
from turnaround.journal import Journal, home
from turnaround.plan import Facts
from turnaround.pool.machines import visible_gpus
from turnaround.spec import Data, Inventory, Place

# What of the shell's environment a worker gets: how libraries behave, and where their caches are.
_PASSED = re.compile(
    r"LANG|LC_ALL|TZ|XDG_CACHE_HOME|PYTHONHASHSEED|CUBLAS_WORKSPACE_CONFIG|CUDA_LAUNCH_BLOCKING"
    r"|NLTK_DATA|TOKENIZERS_PARALLELISM|(HF|TORCH|TORCHINDUCTOR|NCCL|GLOO)_\w+"
)
_SECRET = re.compile(r"TOKEN$|SECRET|PASSWORD|CREDENTIAL|_KEY$")


def gather(config: Config, project: Path, inventory: Inventory) -> Facts:
    """Everything that `plan.make` needs to know of this machine and moment."""
    revision = snapshot.revision(project)
    place = Place(
        project=str(project),
        interpreter=sys.executable,
        recipe_file=f"recipes/{config.recipe_file.name}",
        code=snapshot.code(config.recipe_file, project),
        data=snapshot.fingerprint(config.data, project, home()),
        git_sha=revision.sha,
        dirty=revision.dirty,
        environ=environ(dict(os.environ)),
    )
    source = config.init_from and ancestor(config.init_from, Journal(home()))
    start = source and parameters(source, Journal(home()))
    return Facts(place, _absolute(config.data, project), inventory, __version__, source, start)


def ancestor(asked: str, journal: Journal) -> str:
    """The id of the run that `init_from=…` means, which has parameters to start from."""
    try:
        run = journal.find(asked)
    except JournalError as error:
        raise ConfigError(f"init_from={asked}: {error.message}", error.hint) from None
    if parameters(run.id, journal) is None:
        hint = f"turnaround show {run.id}" if run.status.over else "wait for its first evaluation"
        raise ConfigError(f"init_from={asked}: run {run.id} has no checkpoint", hint)
    return run.id


def parameters(run: str, journal: Journal) -> str | None:
    """The name of the checkpoint that one would start from: the newest best, else the newest."""
    folder = journal.folder(run) / "checkpoints"
    kinds = (sorted(folder.glob(f"{kind}-????????")) for kind in ("best", "step"))
    return next((found[-1].name for found in kinds if found), None)


def environ(shell: dict[str, str]) -> dict[str, str]:
    """The allow-listed part of the shell's environment; secrets never."""
    passed = [name for name in sorted(shell) if _PASSED.fullmatch(name)]
    return {name: shell[name] for name in passed if not _SECRET.search(name)}


def inventory() -> Inventory:
    """The devices of this machine that this process may use."""
    return Inventory(cpus=_cpus(), gpus=_gpus())


def _absolute(data: Data, project: Path) -> Data:
    """Relative paths start at the project; `~` is the user's home."""
    given = {split: path for split, path in data.paths().items() if path}
    found = {split: str(project / Path(path).expanduser()) for split, path in given.items()}
    return replace(data, **found)  # type: ignore[arg-type]  # every one of these fields is a str


def _cpus() -> int:
    """Cores of our affinity mask, less what a container's quota takes away."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1  # macOS
    return max(1, int(min(cores, _quota(Path("/sys/fs/cgroup")))))


def _quota(root: Path) -> float:
    """Cores that the control group grants, of version 2 or 1; infinite without one."""
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):
        try:
            granted, period = " ".join((root / name).read_text() for name in names).split()
            return float(granted) / float(period) if float(granted) > 0 else float("inf")
        except (OSError, ValueError):
            continue  # not there, or "max 100000"
    return float("inf")


def _gpus() -> int:
    """NVIDIA devices that have a file here, less those that CUDA_VISIBLE_DEVICES hides."""
    present = len(list(Path("/dev").glob("nvidia[0-9]*")))  # nvidia-smi would cost 50 ms and more
    visible = visible_gpus()
    return present if visible is None else min(present, len(visible))
