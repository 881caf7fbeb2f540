"""Upstreams: what one is, and how it is read from ``[NAME=]URL`` or a TOML table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct
from msgspec.structs import replace

from hansard.config.reader import (
    NO_PLACE_FOR_A_KEY,
    Flawed,
    Given,
    Reader,
    Secret,
    SettingError,
    check_secret,
    each_named,
    named,
    read_secret,
    table_of,
)
from hansard.config.values import address, part, seconds, text, whole

Environ = Mapping[str, str]

CLIENTS_KEY: Final = "client"
DEFAULT_PATH: Final = "/v1"

# What an upstream may be said not to understand: every field of a request that is not the request itself.
# A test holds this list to the contract, which this room does not know.
LEAVABLE: Final = (
    *("audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens"),
    *("max_tokens", "modalities", "moderation", "n", "parallel_tool_calls", "prediction", "presence_penalty"),
    *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format"),
    *("safety_identifier", "seed", "service_tier", "stop", "stream_options", "temperature", "tool_choice", "tools"),
    *("top_logprobs", "top_p", "user", "verbosity", "web_search_options"),
)


class UpstreamSpec(Struct, frozen=True, kw_only=True):
    """A chat server elsewhere. ``address`` has no slash at its end; for a socket it is ``unix:///PATH[:/v1]``.

    ``key`` is ours; with ``takes_client_key`` the client's own goes there instead. Seconds are None where the
    engine's default holds, and 0 for no limit. ``unsupported`` are the request fields it does not understand.
    """

    name: str
    address: str
    key: Secret | None = None
    takes_client_key: bool = False
    headers: Mapping[str, str] = {}
    connect_s: float | None = None
    first_byte_s: float | None = None
    between_chunks_s: float | None = None
    total_s: float | None = None
    max_connections: int = 0
    retries: int = 2
    retry_pause_s: float = 0.1
    retry_longest_pause_s: float = 2.0
    retry_share: float = 0.2
    retry_reserve: int = 10
    breaker_failures: int = 5
    breaker_pause_s: float = 2.0
    breaker_longest_pause_s: float = 60.0
    breaker_probes: int = 1
    unsupported: tuple[str, ...] = ()

    @property
    def socket(self) -> str | None:
        """The file of its Unix socket, if that is where it is."""
        return self.address.removeprefix("unix://").partition(":")[0] if self.address.startswith("unix:") else None

    @property
    def base_url(self) -> str:
        """What ``/chat/completions`` is appended to; with a socket its host is only a name."""
        if self.socket is None:
            return self.address
        path = self.address.removeprefix("unix://").partition(":")[2]
        return f"http://localhost{path or DEFAULT_PATH}"


def upstream(environ: Environ) -> Callable[[Given], UpstreamSpec]:
    """A parser for one upstream; the keys that tables name as ``key_env`` are taken from these variables.

    Of a flawed one the name is "" if it cannot be read, and the key an empty ``Secret``.
    """

    def parse(given: Given) -> UpstreamSpec:
        if isinstance(given.value, Mapping):
            return _from_table(table_of(given), environ)
        try:
            name, url = named(text(given), name=r"[^=/:]+")
            where = address(given._replace(value=url))
        except SettingError as wrong:
            raise Flawed(UpstreamSpec(name="", address=""), f"{given.place}: {wrong}") from wrong
        return UpstreamSpec(name=name or _host(where), address=where)

    return parse


def _from_table(table: Reader, environ: Environ) -> UpstreamSpec:
    clients = table.take("key", _clients_key, None) is not None
    where = table.require("base_url", address, "")
    in_file, in_variable = table.take("key_file", read_secret, None), table.take("key_env", _variable(environ), None)
    spec = UpstreamSpec(
        name=table.take("name", text, None) or _host(where),
        address=where,
        key=in_file or in_variable,
        takes_client_key=clients,
        headers=table.take("headers", _headers(environ), {}),
        connect_s=table.take("connect_s", seconds, None),
        first_byte_s=table.take("first_byte_s", seconds, None),
        between_chunks_s=table.take("between_chunks_s", seconds, None),
        total_s=table.take("total_s", seconds, None),
        max_connections=table.take("max_connections", whole(0), 0),
        retries=table.take("retries", whole(0, 10), 2),
        retry_pause_s=table.take("retry_pause_s", seconds, 0.1),
        retry_longest_pause_s=table.take("retry_longest_pause_s", seconds, 2.0),
        retry_share=table.take("retry_share", part, 0.2),
        retry_reserve=table.take("retry_reserve", whole(0), 10),
        breaker_failures=table.take("breaker_failures", whole(0), 5),
        breaker_pause_s=table.take("breaker_pause_s", seconds, 2.0),
        breaker_longest_pause_s=table.take("breaker_longest_pause_s", seconds, 60.0),
        breaker_probes=table.take("breaker_probes", whole(1), 1),
        unsupported=table.take_each("unsupported", _field),
    )
    if "name" in table.failed:
        spec = replace(spec, name="")
    keys = ("key", "key_file", "key_env")
    if table.failed & {*keys}:
        spec = replace(spec, key=Secret())
    table.take_at_most_one(*keys)
    for kind in ("retry", "breaker"):
        pauses = {f"{kind}_longest_pause_s", f"{kind}_pause_s"}
        if not table.failed & pauses and getattr(spec, f"{kind}_longest_pause_s") < getattr(spec, f"{kind}_pause_s"):
            table.contradict(f"{kind}_longest_pause_s", f"{kind}_pause_s", why="the longest pause is the shorter one.")
    if "authorization" in map(str.lower, spec.headers) and table.is_given(*keys):
        table.contradict("headers", *keys, why="both set Authorization; keep one.")
    return table.finish(spec)


def _host(url: str) -> str:
    return url.removeprefix("unix://").partition(":")[0] if url.startswith("unix:") else urlsplit(url).netloc


def _clients_key(given: Given) -> str:
    if given.value != CLIENTS_KEY:  # it may be a key: never shown
        raise SettingError(f'{NO_PLACE_FOR_A_KEY}: key_file or key_env. Only key = "client" can stand here.')
    return CLIENTS_KEY


def _headers(environ: Environ) -> Callable[[Given], dict[str, str]]:
    def parse(given: Given) -> dict[str, str]:
        if not isinstance(given.value, Mapping):
            raise SettingError('is a table, as { "X-Team" = "search", "api-key" = { env = "VARIABLE" } }.')

        def header(name: str, value: Given) -> str:
            _check_header_name(name)
            return _header(value, environ)

        try:
            return each_named(given, header)
        except Flawed as wrong:
            raise Flawed({**dict.fromkeys(given.value, ""), **wrong.readable}, *wrong.problems) from wrong

    return parse


def _check_header_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name):  # RFC 9110, 5.6.2
        raise SettingError(f"{name!r} is not the name of a header.")
    if name.lower() in ("content-length", "transfer-encoding"):
        raise SettingError(f"{name} says where a request ends, so it is set for each; leave it out.")


def _header(given: Given, environ: Environ) -> str:
    match given.value:
        case {"env": variable, **rest} if not rest:
            return _variable(environ)(given._replace(value=variable))
        case str() as value if re.fullmatch(r"[ -~]*", value):
            return value
    raise SettingError(f'{given.value!r} is not the value of a header; write a text or {{ env = "VARIABLE" }}.')


def _variable(environ: Environ) -> Callable[[Given], Secret]:
    def parse(given: Given) -> Secret:
        name = text(given)
        if not environ.get(name):
            raise SettingError(f"the variable {name} is not set; put the upstream's key in it.")
        return check_secret(environ[name])

    return parse


def _field(given: Given) -> str:
    name = text(given)
    if name not in LEAVABLE:
        from difflib import get_close_matches

        close = get_close_matches(name, LEAVABLE, n=1)
        guess = f"; did you mean {close[0]}?" if close else "."
        raise SettingError(f"{name} is no field of a request that can be left out{guess}")
    return name
