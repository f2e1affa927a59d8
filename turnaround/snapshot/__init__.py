"""What a run starts from, frozen: its code, its environment, the fingerprint of its data."""

from turnaround.snapshot.digest import fingerprint
from turnaround.snapshot.frozen import Frozen, freeze
from turnaround.snapshot.git import Revision, revision
from turnaround.snapshot.reach import code

__all__ = ["Frozen", "Revision", "code", "fingerprint", "freeze", "revision"]
