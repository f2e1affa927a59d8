"""What to change: why a run is slow, waits or has failed, and which point of a front pays.

slow · waiting · failing: what `turnaround why` says · verdict: what an experiment would take on so
many devices · worth: that as lines to read · auto: the words of the point that pays
"""
