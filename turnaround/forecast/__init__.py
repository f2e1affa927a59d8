"""What a run will cost, before and while it runs. Standard library only: every `ls` asks."""
