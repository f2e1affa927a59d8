"""What the processes and machines of a pool say to each other.

    reply = wire.ask(path, {"op": "submit", "plan": …})

wire: requests and replies on one machine · ear: from workers' pipes into the event file · post:
events and log of a run whose folder is elsewhere · mail: that and files, between two machines ·
offset: by how much another machine's clock is ahead
"""
