"""A module of a plug-in that cannot be imported."""

raise RuntimeError("this plug-in is for another version")
