"""Hansard with its embedded engine against that engine's own HTTP server."""
