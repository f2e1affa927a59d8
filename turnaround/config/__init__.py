"""What was asked: words of the command line and files of conf/ become a checked Config."""

from turnaround.config import places
from turnaround.config.asked import GROUPS, ROOT, Config, compose, hints, settings
from turnaround.config.axis import Axis
from turnaround.config.knobs import KnobSchema, facts, headline, schema
from turnaround.config.places import project_root, recipes, shipped
from turnaround.config.several import section, split, type_of, varied, written

__all__ = [
    "GROUPS",
    "ROOT",
    "Axis",
    "Config",
    "KnobSchema",
    "compose",
    "facts",
    "headline",
    "hints",
    "places",
    "project_root",
    "recipes",
    "schema",
    "section",
    "settings",
    "shipped",
    "split",
    "type_of",
    "varied",
    "written",
]
