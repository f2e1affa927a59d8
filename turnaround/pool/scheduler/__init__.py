"""The scheduler: it starts on the machines what the queue lets start, and sees each to its end.

    RUNNING → its attempt is over → QUEUED again, or SUCCEEDED, FAILED, STOPPED

scheduler: the actor · cluster: the machines, and what they say of their gangs · attempt: one try at
a run, on one machine or several · ending: what becomes of the run then · doctor: ends gangs that
hang
"""
