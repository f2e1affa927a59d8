"""Training: torch, the recipe's contract and the loop. What recipes may use is re-exported here."""

from turnaround.engine.metrics import Mean, Perplexity, Tally
from turnaround.engine.recipe import Endless, Lazy, Recipe

__all__ = ["Endless", "Lazy", "Mean", "Perplexity", "Recipe", "Tally"]
