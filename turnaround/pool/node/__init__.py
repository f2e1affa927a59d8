"""One machine: its daemon, the forkserver, and the workers of its gangs.

    python -m turnaround.pool.node.node --home HOME --address 10.0.0.7

node: the daemon · agent: the Ray actor through which the scheduler asks it · nursery: the daemon's
side of the forkserver · spawn: the forkserver · gang: the workers of an attempt · lodger: a worker
that stays for the next run · errand: a short job without a run · cores: which of them a trial
keeps to · interference: whether two that share a device should take turns · hang: which rank the
others wait for · outcome: how an attempt ended
"""
