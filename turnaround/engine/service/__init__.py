"""What one process does for all groups, over plain TCP: numbers as they lie in memory."""
