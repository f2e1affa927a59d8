"""The command line: every verb, what verbs share, and the door through which they leave.

    turnaround VERB …       # main finds the verb and imports it; door says what went wrong

verbs/: one module for each · running/: a run or a sweep that is under way · verdicts/: why a run is
slow, waits or failed, and what would pay · words/: what was typed · views/: what is shown · main:
the front door · door: exceptions become messages and exit codes · spans: what a command line itself
takes · meanwhile: a line that is there while somebody waits

Each of the folders uses what is named after it. Nothing that takes long to import is imported at
the top: `turnaround --help` takes a tenth of a second.
"""
