"""A run or a sweep that is under way: joined, followed, carried out here, stopped, gone on with.

attach: join it, and leave with its closing words · follow: show it until it is over · here: a run
in this very process · steer: see that somebody carries it out, or stop it · onward: a sweep goes
on · sift: what is said and asked before that
"""
