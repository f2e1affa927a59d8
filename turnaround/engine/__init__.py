"""Training: torch, the recipe's contract and the loop. What recipes may use is re-exported here."""

from turnaround.engine.metrics import Mean, Tally
from turnaround.engine.recipe import Lazy, Recipe

__all__ = ["Lazy", "Mean", "Recipe", "Tally"]
