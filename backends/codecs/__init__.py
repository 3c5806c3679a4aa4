"""Codecs: how images become records and back, a codec a module."""
