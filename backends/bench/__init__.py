"""Measuring: configurations, plan, staging, trials, and what they found."""
