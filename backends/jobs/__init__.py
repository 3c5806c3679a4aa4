"""Work in a process of its own, with a folder that records it: events, journal, control."""
