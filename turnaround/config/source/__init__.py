"""The door to Hydra: words and the files of conf/ go in, one plain dictionary comes out.

composed: a config · words: one setting · several: values to be tried · files: what conf/ may hold
"""

from turnaround.config.source.composed import load
from turnaround.config.source.several import axis, section
from turnaround.config.source.words import written

__all__ = ["axis", "load", "section", "written"]
