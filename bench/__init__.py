"""Measures what standing in front of a model costs. Loopback only, bounded, and it stops by itself."""
