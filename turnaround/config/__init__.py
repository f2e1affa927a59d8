"""What was asked: words of the command line and files of conf/ become a checked Config."""

from turnaround.config.asked import GROUPS, Config, compose
from turnaround.config.knobs import KnobSchema, schema
from turnaround.config.places import project_root, recipes, shipped

__all__ = [
    "GROUPS",
    "Config",
    "KnobSchema",
    "compose",
    "project_root",
    "recipes",
    "schema",
    "shipped",
]
