"""turnaround: from an idea to its answer, in hours instead of weeks."""

__version__ = "0.1.0"

__all__ = ["__version__"]
