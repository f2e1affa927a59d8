"""The verbs, a module each, with a function of the same name: what `turnaround VERB` does.

ask: run · sweep · plan · recipes · data · init
look: ls · show · logs · watch · report · compare · why · try_ · ui
steer: stop · resume · rm · gc
the machine: up · down · doctor · complete

A new one is a module here and a line in `cli/main.py`.
"""
