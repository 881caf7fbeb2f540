"""Hansard: stored chat completions, self-hosted."""

__version__ = "0.1.0"
