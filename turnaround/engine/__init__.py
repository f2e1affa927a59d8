"""Training: torch, the recipe's contract and the loop. What recipes may use is re-exported here."""

from turnaround.engine.metrics import Furthest, Mean, Perplexity, Tally, Typical
from turnaround.engine.recipe import Endless, Lazy, Recipe, Samples

__all__ = [
    "Endless",
    "Furthest",
    "Lazy",
    "Mean",
    "Perplexity",
    "Recipe",
    "Samples",
    "Tally",
    "Typical",
]
