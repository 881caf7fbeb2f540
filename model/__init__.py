"""How the built-in demonstration model `hansard-tiny` is made, from its dialogues to its GGUF file and its evaluation.

Not part of the installed package. The server only ships the finished file.
"""
