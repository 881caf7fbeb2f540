"""The tokens of a prompt, told before an answer is asked for.

The engine reads the schemas of tools and of the answer before it counts, and that takes longer by far (128 strict tools
of 30 patterns each: 2.2 s to 0.4 s). So what may not fit is counted first, without them.
"""

from __future__ import annotations

import msgspec

from hansard.contract import Document
from hansard.engines.llamacpp import failures, prompt
from hansard.engines.llamacpp.running import Running, prompt_tokens
from hansard.errors import UpstreamFailed, UpstreamTimeout

# What a template may write. The rest of a body binds the answer.
WRITTEN = ("messages", "tools", "parallel_tool_calls", "reasoning_effort", "reasoning_format", "chat_template_kwargs")


async def tokens(running: Running, body: Document) -> list[int]:
    """The tokens of a body's prompt, which is text.

    Raises ``msgspec.MsgspecError`` where the template does not take it, ``UpstreamFailed`` and ``UpstreamTimeout``.
    """
    written = {name: body[name] for name in WRITTEN if name in body}
    if "tools" in written:
        written["tool_choice"] = "none"  # the same prompt, and no grammar is made of their schemas
    return await prompt_tokens(running.client, running.neutralizer.encode(written))


async def check(running: Running, outline: Document) -> None:
    """Refuse a prompt that does not fit: ``InvalidRequest``. Where the template fails, the engine says so later."""
    has_images = prompt.has_images(outline["messages"])
    if has_images:  # what their tokens are is known to the engine alone
        outline = {**outline, "messages": prompt.without_images(outline["messages"])}
    try:
        count = len(await tokens(running, outline))
    except (msgspec.MsgspecError, UpstreamFailed, UpstreamTimeout):
        return
    if count < running.context:
        return
    if has_images:
        raise failures.far_too_long(context=running.context, least=count)
    raise failures.too_long(context=running.context, prompt_tokens=count)
