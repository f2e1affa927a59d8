"""What to change so that a run takes less time: facts from its events, rules over its account."""
