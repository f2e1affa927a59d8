"""Who may start, where and when, and why the others wait.

    decision = queue.decide(now)        # pure: no clock, no file, no Ray

line: the journal's rows in, decisions out · queue: the rules · turn: one decision · standing: what
is known before it · lanes: whom of all priorities and sweeps it looks at next · waiting: one that
waits, one that holds · room: on which machines and devices a gang lies · lengths: how long runs
should take
"""
