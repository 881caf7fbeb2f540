"""How the engine fails, as errors of ours: by its own error types, and by its texts only where they have none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hansard.errors import EngineUnavailable, HansardError, InvalidRequest, UpstreamFailed

TOO_LONG = (
    "This model's maximum context length is {n_ctx} tokens. However, your messages resulted in "
    "{n_prompt_tokens} tokens. Please reduce the length of the messages."
)

TOO_MUCH = (
    "This model's maximum context length is {context} tokens. However, you requested {total} tokens "
    "({prompt_tokens} in the messages, {cap} in the completion). "
    "Please reduce the length of the messages or completion."
)


FAR_TOO_LONG = (
    "This model's maximum context length is {context} tokens. However, your messages resulted in "
    "at least {least} tokens. Please reduce the length of the messages."
)


UNREAD_IMAGE = "Failed to load image"  # llama.cpp, tools/server/server-common.cpp; it has no type of its own


class EngineError(msgspec.Struct, frozen=True, kw_only=True):
    """The engine's own error object."""

    code: int = 500
    message: str = "The engine failed without a reason."
    type: str = "server_error"
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class _Envelope(msgspec.Struct, frozen=True):
    error: EngineError


def unreadable() -> HansardError:
    """For what is no reply of this engine's."""
    return UpstreamFailed("The engine's reply could not be understood.", code="engine_error")


def too_much(*, context: int, prompt_tokens: int, cap: int) -> HansardError:
    """For a prompt that fits with a cap that does not (seen in reports about the API); the engine does not mind it."""
    text = TOO_MUCH.format(context=context, total=prompt_tokens + cap, prompt_tokens=prompt_tokens, cap=cap)
    return InvalidRequest(text, param="messages", code="context_length_exceeded")


def too_long(*, context: int, prompt_tokens: int) -> HansardError:
    """For a prompt that was counted and does not fit."""
    text = TOO_LONG.format(n_ctx=context, n_prompt_tokens=prompt_tokens)
    return InvalidRequest(text, param="messages", code="context_length_exceeded")


def far_too_long(*, context: int, least: int) -> HansardError:
    """For a prompt of which not all is counted."""
    text = FAR_TOO_LONG.format(context=context, least=least)
    return InvalidRequest(text, param="messages", code="context_length_exceeded")


def translate(error: EngineError) -> HansardError:
    """Ours for the engine's."""
    match error.type:  # llama.cpp, tools/server/server-common.cpp, format_error_response
        case "exceed_context_size_error":
            return too_long(context=error.n_ctx, prompt_tokens=error.n_prompt_tokens)
        case "invalid_request_error":
            return InvalidRequest(error.message)
        case "unavailable_error":
            return EngineUnavailable("The engine is loading its model. Please try again in a moment.")
        case _:
            return UpstreamFailed(f"The engine failed: {error.message}", code="engine_error")


def of_body(body: bytes, *, images: Sequence[str] = ()) -> HansardError:
    """Ours for a reply that is no stream; ``images`` is where they stand in the request."""
    try:
        error = msgspec.json.decode(body, type=_Envelope).error
    except msgspec.MsgspecError:
        return unreadable()
    if images and error.message.startswith(UNREAD_IMAGE):
        return _unread_image(images)
    return translate(error)


def _unread_image(images: Sequence[str]) -> HansardError:
    """The engine does not say which, so of several it is the field."""
    where, what = (images[0], "is") if len(images) == 1 else ("messages", "has")
    text = f"Invalid value: '{where}' {what} an image that cannot be read."
    return InvalidRequest(text, param=where, code="invalid_image_format")
