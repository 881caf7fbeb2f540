"""Measures the store by itself, on SQLite and on PostgreSQL: what a write, a read and a byte cost."""
