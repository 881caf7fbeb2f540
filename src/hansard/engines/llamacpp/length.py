"""How long a prompt is at least, told without reading it.

The engine's tokenizer takes time that grows with the square of the number of messages, and while it counts nobody can
stop it (10,000 messages of one letter: 13 seconds). So what is far too long is not given to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp import failures

# What is less than this many contexts long goes to the engine, whose number is exact.
COUNTED_CONTEXTS = 2


class Least(msgspec.Struct, frozen=True, kw_only=True):
    """What the template writes around an empty message, in tokens by role, and the longest token, in characters."""

    of_message: Mapping[str, int]
    longest_token: int

    def check(self, conversation: Sequence[Document], *, context: int) -> None:
        """Refuse a conversation, as the engine gets it, that is far longer than ``context``: ``InvalidRequest``."""
        limit = COUNTED_CONTEXTS * context
        around = sum(self.of_message.get(message["role"], 0) for message in conversation)
        texts = _texts(conversation)
        if around + sum(map(len, texts)) // self.longest_token > limit:
            # Templates may trim texts and tokenizers merge spaces, so only the rest counts.
            least = around + sum(len("".join(text.split())) for text in texts) // self.longest_token
            if least > limit:
                raise failures.far_too_long(context=context, least=least)


def _texts(conversation: Sequence[Document]) -> list[str]:
    """What users say. Templates may leave out the rest: thoughts of earlier answers, or instructions but the first."""
    contents = [message["content"] for message in conversation if message["role"] == "user"]
    return [content for content in contents if isinstance(content, str)]
