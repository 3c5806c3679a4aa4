"""The backends: one file each, which calls its library."""
