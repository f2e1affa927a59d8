"""How groups agree on parameters. One module per update, found by its name."""
