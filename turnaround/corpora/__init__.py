"""Corpora: generated ones, and readers of the text formats people have. Standard library only."""
