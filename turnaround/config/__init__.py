"""What was asked: words of the command line and files of conf/ become a checked Config."""

from turnaround.config import places
from turnaround.config.asked import GROUPS, ROOT, Config, compose, hints, settings
from turnaround.config.knobs import KnobSchema, headline, schema
from turnaround.config.places import project_root, recipes, shipped

__all__ = [
    "GROUPS",
    "ROOT",
    "Config",
    "KnobSchema",
    "compose",
    "headline",
    "hints",
    "places",
    "project_root",
    "recipes",
    "schema",
    "settings",
    "shipped",
]
