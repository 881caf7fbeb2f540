"""Who is asking, and for which project: the only place that decides what may be seen.

A key is looked up by its digest, so its characters are never compared; neither Host nor any header beside those of
keys, projects and organizations is looked at. What was found is remembered, and forgotten as soon as the database says
that something has changed: it is asked about that a few times a second, so a relayed request asks nothing.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import Final, TypeAlias, TypeVar

import msgspec

from hansard.core import policies
from hansard.core.keys import EVERY, Scope, digest
from hansard.core.policies import UNBOUND, Policy
from hansard.errors import AuthenticationFailed, Forbidden, ModelForbidden, StoreUnavailable
from hansard.observe import Crashed, Observer, ignore
from hansard.store.outage import TOO_LONG, WAITS_S
from hansard.store.tenants import DEFAULT_PROJECT, Key, Project, Tenants

__all__ = ["DEFAULT_PROJECT", "Gate", "Principal"]

_T = TypeVar("_T")

_MARK_LENGTH: Final = 12

LOOKS_EVERY_S: Final = 0.3
"""How often the database is asked whether keys have changed: revoking is to work within a second everywhere."""

TRUSTED_S: Final = 60.0
"""How long a key that is known goes on counting while the database cannot be asked."""

# Keys in use, and keys that are wrong, that are remembered. The second for a moment, so that a client that is set up
# wrongly does not keep the database busy.
_MOST_KNOWN: Final = 10_000
_MOST_WRONG: Final = 1_000
_WRONG_FOR_S: Final = 1.0
_LOOKED_UP_AT_ONCE: Final = 256
_MOST_WAITING: Final = 4096

_Found: TypeAlias = tuple[int, tuple[Key, Project] | None]
"""Whose key it is, and at which revision that was asked."""

_WHERE: Final = "tenancy"

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth "
    "(i.e. Authorization: Bearer YOUR_KEY), or as the password field (with blank username) if you're accessing the "
    "API from your browser and are prompted for a username and password. You can obtain an API key from "
    "https://platform.openai.com/account/api-keys."
)
_WRONG_KEY = (
    "Incorrect API key provided: {key}. You can find your API key at https://platform.openai.com/account/api-keys."
)
# Recorded in https://github.com/openai/codex/issues/1000; that of the project is its twin.
_MISMATCH = "OpenAI-{what} header should match {low} for API key"


class Principal(msgspec.Struct, frozen=True):
    """The one a request is made for; every row it touches is the project's.

    ``key`` tells keys apart in the record, and is none: the key's id, or the beginning of the digest of the operator's
    own. None where no key is asked for. ``expires`` is unix seconds.
    """

    project: str
    key: str | None = None
    project_name: str = ""
    scopes: frozenset[Scope] = EVERY
    policy: Policy = UNBOUND
    """The key's own; each word of it goes before the project's, but for the limits, of which both hold."""
    project_policy: Policy = UNBOUND
    expires: int | None = None

    def metadata(self, asked: Mapping[str, str]) -> Mapping[str, str]:
        """What is put on a stored completion whose request says so much of it."""
        return policies.metadata(asked, self.policy, self.project_policy)

    def may_use(self, model: str) -> bool:
        """Whether the model is one of those that its key, or else its project, may ask for."""
        models = self.project_policy.models if self.policy.models is None else self.policy.models
        return models is None or model in models

    def must_be_allowed(self, model: str) -> None:
        """Raise ModelForbidden for any other model."""
        if not self.may_use(model):
            raise ModelForbidden(self.project, model)

    def must_have(self, scopes: frozenset[Scope]) -> None:
        """Raise Forbidden if it has none of these."""
        if self.scopes.isdisjoint(scopes):
            raise Forbidden.scope(min(scopes, key=lambda scope: (scope == "admin", scope)))


class Gate:
    """Turns what a request says of itself into a Principal.

    ``key`` is the operator's own, which can do everything and is in no database. Without it, and before the first key
    is made, everyone is let in. ``organization`` is what ``OpenAI-Organization`` must say, if it says anything.
    """

    def __init__(
        self,
        *,
        key: str | None,
        tenants: Tenants | None = None,
        organization: str | None = None,
        observer: Observer = ignore,
        looks_every_s: float = LOOKS_EVERY_S,
        trusted_s: float = TRUSTED_S,
        waits_s: float = WAITS_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._digest = None if key is None else digest(key)
        mark = None if self._digest is None else self._digest.hex()[:_MARK_LENGTH]
        self._operator = Principal(project=DEFAULT_PROJECT, key=mark, project_name=DEFAULT_PROJECT)
        self._tenants = tenants
        self.organization = organization
        self._observer = observer
        self._looks_every_s = looks_every_s
        self._trusted_s = trusted_s
        self._clock = clock
        self._known: dict[bytes, Principal] = {}
        self._wrong: dict[bytes, float] = {}
        self._good: dict[bytes, None] = {}
        """Those that counted when last looked up. Nobody tries their way in here, so they wait for no one who tries."""
        self._line_of_good, self._line_of_others = (_Line(self._holders, waits_s=waits_s) for _ in range(2))
        self._revision = 0
        self._trusted_until = 0.0
        self.is_open = key is None
        """Whether everyone is let in."""

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Hear of changes meanwhile. Raises StoreUnavailable if it is not known what there is."""
        await self.look()
        # Not in a task group: it would wrap what whoever runs beside it raises, and this task raises nothing.
        task = asyncio.get_running_loop().create_task(self._watch(), name="hansard-tenancy")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def admit(self, authorization: str | None, api_key: str | None = None) -> Principal:
        """The principal, or AuthenticationFailed with the API's own two texts.

        ``api_key`` is the header of that name, as clients of Azure's send it. Waits only for a key not seen lately;
        StoreUnavailable if the database cannot say whose it is.
        """
        if self.is_open:
            return self._operator
        token = _token(authorization or "") or (api_key or "").strip()
        if not token:
            raise AuthenticationFailed(_NO_KEY)
        sought = digest(token)
        if sought == self._digest:  # of digests the time that it takes tells nothing: nobody can choose one
            return self._operator
        principal = self._known.get(sought)
        if principal is None:
            principal = await self._look_up(sought, token)
        elif self._trusted_until < time.monotonic():
            raise StoreUnavailable("The store is unavailable: it cannot be asked whether this key still counts.")
        if principal.expires is not None and principal.expires <= self._clock():
            raise _wrong(token)
        return principal

    def check(self, principal: Principal, *, organization: str | None, project: str | None) -> None:
        """Raise AuthenticationFailed if a request names another organization or project than its key's.

        Where no key is asked for, nothing is compared: clients send what their environment says.
        """
        if self.is_open:
            return
        if organization and self.organization and organization != self.organization:
            raise _mismatched("organization")
        if project and project not in (principal.project, principal.project_name):
            raise _mismatched("project")

    async def _look_up(self, sought: bytes, token: str) -> Principal:
        if self._tenants is None or self._wrong.get(sought, 0.0) > time.monotonic():
            raise _wrong(token)
        line = self._line_of_good if sought in self._good else self._line_of_others
        revision, found = await line.find(sought)
        if found is None or not _counts(*found, now=self._clock()):
            self._good.pop(sought, None)
            _remember(self._wrong, sought, time.monotonic() + _WRONG_FOR_S, most=_MOST_WRONG)
            raise _wrong(token)
        principal = _principal(*found)
        _remember(self._good, sought, None, most=_MOST_KNOWN)
        if revision == self._revision:  # or it may have changed while it was on its way here
            _remember(self._known, sought, principal, most=_MOST_KNOWN)
        return principal

    async def _holders(self, sought: Sequence[bytes]) -> Mapping[bytes, _Found]:
        revision = self._revision
        found = {} if self._tenants is None else await self._tenants.holders(sought)
        return {each: (revision, found.get(each)) for each in sought}

    async def look(self) -> None:
        """Forget what is remembered if projects or keys have changed. StoreUnavailable if that cannot be told."""
        if self._tenants is None:
            return
        asked = time.monotonic()
        state = await self._tenants.state()
        if state.revision != self._revision:
            self._revision = state.revision
            self._known.clear()
            self._wrong.clear()
        self.is_open = self.is_open and not state.has_keys  # what was shut stays so
        self._trusted_until = asked + self._trusted_s

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._looks_every_s)
            try:
                await self.look()
            except StoreUnavailable:
                continue  # whoever is known is trusted for a while
            except Exception as error:  # noqa: BLE001 - the edge of this task: a bug here must not end the server
                self._observer(Crashed(request_id=_WHERE, exception=error))


class _Line:
    """Keys that wait to be looked up, one lookup at a time for as many as are there: trying keys keeps nobody waiting
    longer than two lookups, and takes one reader away. StoreUnavailable for whoever finds it full, or has waited
    ``waits_s``."""

    def __init__(
        self, look_up: Callable[[Sequence[bytes]], Awaitable[Mapping[bytes, _Found]]], *, waits_s: float
    ) -> None:
        self._look_up = look_up
        self._waits_s = waits_s
        self._turn = asyncio.Lock()
        self._waiting: dict[bytes, asyncio.Future[_Found]] = {}

    async def find(self, sought: bytes) -> _Found:
        try:
            async with asyncio.timeout(self._waits_s):
                return await self._find(sought)
        except TimeoutError as error:
            raise StoreUnavailable(TOO_LONG) from error

    async def _find(self, sought: bytes) -> _Found:
        found = self._waiting.get(sought)
        if found is None:
            # Where nobody looks any up, those there have been left by whoever waited: then it is our turn to do it.
            if len(self._waiting) >= _MOST_WAITING and self._turn.locked():
                raise StoreUnavailable("The store is unavailable: too many keys are being looked up.")
            found = self._waiting[sought] = asyncio.get_running_loop().create_future()
        while not found.done():
            async with self._turn:
                if not found.done():
                    await self._serve()
        return found.result()

    async def _serve(self) -> None:
        """Look those up who came first. Who waits for one of these and is not us goes on if we are cancelled."""
        served = dict(islice(self._waiting.items(), _LOOKED_UP_AT_ONCE))
        for each in served:
            del self._waiting[each]
        try:
            answers = await self._look_up(list(served))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is for each of them
            for found in served.values():
                found.set_exception(error)
        except BaseException:
            self._waiting = {**served, **self._waiting}
            raise
        else:
            for each, found in served.items():
                found.set_result(answers[each])


def _remember(places: dict[bytes, _T], place: bytes, value: _T, *, most: int) -> None:
    while len(places) >= most and place not in places:
        del places[next(iter(places))]  # whoever came first
    places[place] = value


def _counts(key: Key, project: Project, *, now: float) -> bool:
    return key.revoked is None and project.archived is None and (key.expires is None or key.expires > now)


def _principal(key: Key, project: Project) -> Principal:
    return Principal(
        project=project.id,
        key=key.id,
        project_name=project.name,
        scopes=key.scopes,
        policy=key.policy,
        project_policy=project.policy,
        expires=key.expires,
    )


def _wrong(token: str) -> AuthenticationFailed:
    return AuthenticationFailed(_WRONG_KEY.format(key=_masked(token)), code="invalid_api_key")


def _mismatched(what: str) -> AuthenticationFailed:
    return AuthenticationFailed(_MISMATCH.format(what=what.capitalize(), low=what), code=f"mismatched_{what}")


def _token(authorization: str) -> str:
    """The key of either form that the API's own text names; empty if there is none."""
    scheme, _, token = authorization.partition(" ")
    match scheme.lower():
        case "bearer":
            return token.strip()
        case "basic":
            return _password(token.strip())
    return ""


def _password(pair: str) -> str:
    """Of a user without a name, as browsers and ``curl -u :KEY`` send it."""
    try:
        user, _, password = b64decode(pair, validate=True).decode().partition(":")
    except ValueError:
        return ""
    return "" if user else password


def _masked(key: str) -> str:
    """The first 8 and the last 4 characters of a long key, as the live API shows it."""
    return key if len(key) <= 12 else f"{key[:8]}{'*' * (len(key) - 12)}{key[-4:]}"
