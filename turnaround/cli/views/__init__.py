"""What is shown of runs and sweeps: read from the journal and from events, and made text.

units: times, sizes and numbers · table: columns · again: the line that asks once more ·
progress: what a run's events add up to · outlook: how long it will take · tail: the end of its
event file · record: a run as JSON · live: a run on a terminal · lines: a run without one ·
standing: how a sweep stands · field: a sweep on a terminal · findings: what came out of it · queue:
who waits · closing: the last words about a run
"""
