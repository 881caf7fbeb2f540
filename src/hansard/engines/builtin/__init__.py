"""Holds the built-in demonstration model, `hansard-tiny.gguf`, and its description. No code lives here."""
