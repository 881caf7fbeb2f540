"""Every error Hansard raises, drawn once.

HansardError                         what a client sees: status, type, param, code, message
├── InvalidRequest              400
│   ├── SearchIsOff
│   └── UpstreamRefused         4xx  what an upstream says is wrong with the request
├── AuthenticationFailed        401
├── Forbidden                   403
│   └── ModelForbidden
├── NotFound                    404
│   ├── CompletionNotFound
│   └── ModelNotFound
├── MethodNotAllowed            405
├── RequestTooLate              408
│   ├── HeadTooLate
│   ├── BodyTooLate
│   └── BodyTooSlow
├── Conflict                    409
│   ├── ProjectGone
│   └── IdempotencyKeyReused
├── BodyTooLarge                413
├── RateLimited                 429
│   ├── LimitReached
│   ├── RequestTooCostly
│   └── QuotaExhausted
├── HeadTooLarge                431
│   └── TrailersTooLarge
├── InternalError               500
├── UpstreamFailed              502  what an engine elsewhere did wrong
├── Unavailable                 503  Retry-After is always sent
│   ├── EngineUnavailable
│   ├── EngineBusy
│   └── StoreUnavailable
└── UpstreamTimeout             504
StartupError                         what an operator sees before the server listens

Texts and codes follow the API's own error replies where it has one.
Statuses are HTTP's; nothing here knows how a reply is sent.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


class HansardError(Exception):
    """An error with an envelope: ``{"error": {"message", "type", "param", "code"}}``.

    ``place`` is the path of what is wrong, also where the API's ``param`` does not say it.

    ``retry_after_s`` goes into the header of that name, where it is known, and ``retry_after_ms`` into the more exact
    one that the official clients read first. ``is_final`` tells the official clients
    not to try again, which by its status they would. ``has_begun``: whoever was asked had begun to answer, so nobody
    is asked again. ``is_quoted``: type and code are an upstream's words.
    """

    status: int = 500
    type: str = "server_error"
    code: str | None = None
    retry_after_s: int | None = None
    retry_after_ms: int | None = None
    is_final: bool = False
    has_begun: bool = False
    is_quoted: bool = False

    def __init__(
        self, message: str, *, param: str | None = None, code: str | None = None, retry_after_s: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.place = param
        if code is not None:
            self.code = code
        if retry_after_s is not None:
            self.retry_after_s = retry_after_s

    @property
    def word(self) -> str:
        """What logs and metrics call it: one of a closed set, whatever an upstream says."""
        return f"upstream_refused_{self.status}" if self.is_quoted else self.code or self.type


class InvalidRequest(HansardError):
    """The request breaks the contract; sending it again cannot help."""

    status = 400
    type = "invalid_request_error"


class SearchIsOff(InvalidRequest):
    """The server keeps no index of words."""

    code = "search_off"

    def __init__(self) -> None:
        super().__init__("Search is off on this server. Whoever runs it can turn it on: `hansard serve --search on`.")


class AuthenticationFailed(HansardError):
    """No key, or a key that is not known here."""

    status = 401
    type = "invalid_request_error"


class Forbidden(HansardError):
    """The key is good, and does not reach so far. In the live API's words, as restricted keys get them.

    Recorded in https://github.com/openclaw/openclaw/issues/47372 and others. It answers some of them with 401, which
    tells a client that its key is no good; 403 is what the official clients call PermissionDeniedError.
    """

    status = 403
    type = "invalid_request_error"

    @classmethod
    def scope(cls, missing: str) -> Forbidden:
        """``missing`` is the scope that would do."""
        return cls(
            f"You have insufficient permissions for this operation. Missing scopes: {missing}. Check that you have the "
            "correct role in your organization (Reader, Writer, Owner) and project (Member, Owner), and if you're "
            "using a restricted API key, that it has the necessary scopes."
        )


class ModelForbidden(Forbidden):
    """The model is not among those of the key or its project.

    In the live API's words, recorded in https://github.com/cursor/cursor/issues/2953.
    """

    code = "model_not_found"

    def __init__(self, project: str, model: str) -> None:
        super().__init__(f"Project `{project}` does not have access to model `{_shown(model)}`")
        self.place = "model"


class NotFound(HansardError):
    """Nothing at that address."""

    status = 404
    type = "invalid_request_error"


class CompletionNotFound(NotFound):
    """The id is unknown, deleted, or belongs to another project: all three look the same."""

    code = "not_found"

    def __init__(self, completion_id: str) -> None:
        super().__init__(f"Completion {_shown(completion_id)} not found", param="completion_id")


class ModelNotFound(NotFound):
    """No engine answers for that model name."""

    code = "model_not_found"

    def __init__(self, model: str) -> None:
        super().__init__(f"The model `{_shown(model)}` does not exist or you do not have access to it.")
        self.place = "model"

    @classmethod
    def in_listing(cls, model: str) -> ModelNotFound:
        """The same, in the words of ``GET /models/{id}``."""
        error = cls(model)
        error.message = f"The model '{_shown(model)}' does not exist"
        error.param = "model"
        return error


class MethodNotAllowed(HansardError):
    """The address exists, but not for this method."""

    status = 405
    type = "invalid_request_error"
    code = "method_not_supported"

    def __init__(self, allowed: Sequence[str]) -> None:
        *others, last = allowed
        comma = "," if len(others) > 1 else ""
        methods = f"{', '.join(others)}{comma} and {last}" if others else last
        super().__init__(f"Only {methods} requests are accepted.")
        self.allowed = tuple(allowed)


class Conflict(HansardError):
    """The request contradicts an earlier one."""

    status = 409
    type = "invalid_request_error"


class ProjectGone(Conflict):
    """The project was deleted while the request ran, so nothing of it is kept."""

    code = "project_deleted"
    is_final = True

    def __init__(self, project: str) -> None:
        super().__init__("The project of this key was deleted while the request ran, so that nothing of it is kept.")
        self.project = project


class IdempotencyKeyReused(Conflict):
    """The key has been sent with another request; sending this one again cannot help."""

    code = "idempotency_key_reused"
    is_final = True

    def __init__(self) -> None:
        super().__init__(
            "This Idempotency-Key was sent before with a different request. Send another key, or the same request."
        )


class BodyTooLarge(HansardError):
    """The body is over the configured limit, in bytes."""

    status = 413
    type = "invalid_request_error"
    code = "request_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request body is larger than this server accepts ({limit_bytes} bytes).")


class RateLimited(HansardError):
    """Too many requests, here or at the upstream."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"
    retry_after_s: int | None = 1


class LimitReached(RateLimited):
    """Too much for now: in the words of the live API (dossier, section e). ``wait`` is ``wait_s``, spelled."""

    def __init__(
        self, of: str, *, unit: str, model: str, limit: int, used: int, asked: int, wait_s: float, wait: str
    ) -> None:
        super().__init__(
            f"Rate limit reached for {_shown(model)} {of}: Limit {limit}, Used {used}, Requested {asked}. "
            f"Please try again in {wait}.",
            retry_after_s=max(math.ceil(wait_s), 1),
        )
        self.type = unit
        self.retry_after_ms = math.ceil(wait_s * 1000)


class RequestTooCostly(RateLimited):
    """More tokens than there are in a minute, so that waiting cannot help. In the live API's words.

    Recorded in https://community.openai.com/t/request-too-large-for-gpt-4o/863460 and many others.
    """

    type = "tokens"
    retry_after_s = None
    is_final = True

    def __init__(self, of: str, *, model: str, limit: int, asked: int) -> None:
        super().__init__(
            f"Request too large for {_shown(model)} {of}: Limit {limit}, Requested {asked}. "
            "The input or output tokens must be reduced in order to run successfully."
        )


class QuotaExhausted(RateLimited):
    """The tokens of the month are used up: in the live API's words (dossier, section e), without its links."""

    type = "insufficient_quota"
    code = "insufficient_quota"
    is_final = True

    def __init__(self, *, retry_after_s: int) -> None:
        super().__init__(
            "You exceeded your current quota, please check your plan and billing details.",
            retry_after_s=retry_after_s,
        )


class HeadTooLarge(HansardError):
    """The request line and headers are over the limit, in bytes, or too many."""

    status = 431
    type = "invalid_request_error"
    code = "request_head_too_large"

    def __init__(self, limit_bytes: int, most: int) -> None:
        super().__init__(
            f"The request's headers are larger than this server accepts ({limit_bytes} bytes, {most} headers)."
        )


class TrailersTooLarge(HeadTooLarge):
    """What stands behind the body is over the limit, in bytes."""

    def __init__(self, limit_bytes: int) -> None:
        HansardError.__init__(
            self, f"What follows the request's body is larger than this server accepts ({limit_bytes} bytes)."
        )


class RequestTooLate(HansardError):
    """The request did not come in time."""

    status = 408
    type = "invalid_request_error"
    code = "request_timeout"


class HeadTooLate(RequestTooLate):
    """The request line and headers were not whole in time, in seconds."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The request's headers did not arrive within {limit_s:g} seconds.")


class BodyTooLate(RequestTooLate):
    """Nothing came of a request's body for so many seconds."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The request's body did not go on for {limit_s:g} seconds.")


class BodyTooSlow(RequestTooLate):
    """A request's body was not whole in time, in seconds, though it went on."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"The request's body was not whole within {limit_s:g} seconds.")


class InternalError(HansardError):
    """A bug in Hansard. The text is the API's own; the cause goes to the log."""

    def __init__(self) -> None:
        super().__init__("The server had an error while processing your request. Sorry about that!")


class UpstreamRefused(InvalidRequest):
    """The upstream finds fault with the request itself; passed on as it said it, its status (4xx) included."""

    def __init__(self, message: str, *, status: int, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message, param=param, code=code)
        self.status = status


class UpstreamFailed(HansardError):
    """The upstream could not be reached, or answered what nobody can use."""

    status = 502
    code = "upstream_unreachable"


class BrokenOff(UpstreamFailed):
    """The connection to the upstream ended before the reply did; a stream may have said all by then."""


class UpstreamTimeout(HansardError):
    """The upstream did not answer in time."""

    status = 504
    code = "upstream_timeout"


class Unavailable(HansardError):
    """Cannot be served now; the same request may succeed after ``retry_after_s`` seconds."""

    status = 503
    retry_after_s = 1


class TooManyBodies(Unavailable):
    """The bodies of all requests together are over the limit, in bytes."""

    code = "too_many_bodies"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(
            f"The bodies of all requests together are larger than this server holds ({limit_bytes} bytes). "
            "Please try again."
        )


class EngineUnavailable(Unavailable):
    """The engine is starting, restarting or gone."""

    code = "engine_unavailable"


class EngineBusy(Unavailable):
    """The engine's waiting line is full: in the API's words, with ours behind them."""

    def __init__(self, detail: str, *, code: str | None = None, retry_after_s: int | None = None) -> None:
        text = f"That model is currently overloaded with other requests. {detail}"
        super().__init__(text, code=code, retry_after_s=retry_after_s)


class StoreUnavailable(Unavailable):
    """What was to be stored could not be committed, so it is not acknowledged."""

    code = "store_unavailable"


class StartupError(Exception):
    """Hansard cannot start. One line an operator can act on per problem."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def _shown(name: str) -> str:
    """A name the client chose, cut to what a message can bear."""
    return name if len(name) <= 200 else f"{name[:200]}..."
