"""How the built-in demonstration model `hansard-tiny` is made: dialogues, tokenizer, network, trainer, GGUF writer, evaluation.

Not part of the installed package. The server only ships the finished file.
"""
