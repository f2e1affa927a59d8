"""The processes of a pool of our own, and what is started on a cluster that is somebody else's.

    python -m turnaround.pool.head.headnode --home HOME --address 127.0.0.1

headnode: the daemon of the machine where the pool was started · head: the Ray head, kept alive ·
boot: creates the actors on a head that is coming up · driver: a Ray job that hands a run to the
scheduler of its cluster
"""
