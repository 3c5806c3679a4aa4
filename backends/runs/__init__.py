"""Runs: their events, the job that executes one in a process of its own, the history."""
