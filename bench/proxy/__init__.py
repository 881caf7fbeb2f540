"""Hansard in front of a chat server elsewhere, beside others that stand there too."""
