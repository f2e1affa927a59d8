"""How one synchronous group lies on devices. One module per layout, found by its name."""
