"""How one image becomes bytes and back, a batch at a time."""
