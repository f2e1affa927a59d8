"""`python -m turnaround` is `turnaround`."""

from turnaround.cli.main import main

main()
