"""The warm pool: a Ray head, a scheduler, and on every node an agent and a daemon with workers."""
