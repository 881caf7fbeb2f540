"""The composition root: settings in, a running server out; what is opened is closed in the opposite order.

Optional parts are imported in the branch that selects them, so that nobody pays for what they do not run.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import math
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hansard import __version__
from hansard.administration import Administration
from hansard.allocator import share_one_arena
from hansard.api.corked import corked
from hansard.api.front import Front
from hansard.api.garbled import enveloped
from hansard.api.in_turn import in_turn
from hansard.api.leaving import noticing
from hansard.api.routes import application
from hansard.api.unread import impatient
from hansard.api.upgrades import without_upgrades
from hansard.completions import Completions
from hansard.config import ModelSpec, Settings, TargetSpec, UpstreamSpec, is_loopback
from hansard.core.lifetimes import Lifetimes
from hansard.departure import Departure
from hansard.engines.base import Engine, ServedModel
from hansard.engines.router import Router, Target
from hansard.errors import StartupError, StoreUnavailable
from hansard.janitor import Janitor
from hansard.limits import Limiter
from hansard.listening import (
    LAST_WORD_S,
    base_url,
    ends_at_once,
    listening,
    nothing_is_said_twice,
    on_signals,
    shaking_hands,
    signals_cut_waiting_short,
    tls,
)
from hansard.observe import Observer, both, ignore
from hansard.observe.console import console
from hansard.observe.metrics import Metrics
from hansard.recorder import Recorder
from hansard.store.database import database
from hansard.store.lock import alone
from hansard.store.outage import ENDS_S
from hansard.store.sql import SqlStore
from hansard.tenancy import Gate

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from hansard.traces import Tracing

ECHO = "echo"

# Longer than the pools of the usual clients and balancers keep an idle connection, so that they close first.
KEEP_ALIVE_S = 75

# A request leaves no cycles behind, so the collector's usual pace (700) only costs, 6 % of a relayed request.
GC_THRESHOLDS = (20_000, 20, 20)


class House:
    """Every part of one server, wired and not yet running.

    ``listens``: it is to be reached where the settings say, and not through a server of somebody else's.
    """

    def __init__(self, settings: Settings, *, observer: Observer, listens: bool = False) -> None:
        self._listens = listens
        self.metrics = Metrics(
            version=__version__, upstreams=[spec.name for spec in settings.upstreams], since=time.time()
        )
        self.observer = observer = both(self.metrics, observer)
        here = {spec.name: _embedded(spec, settings, observer) for spec in settings.models if not spec.targets}
        elsewhere = _upstreams(settings, observer)
        self._tracing = _tracing(settings.traces)
        if self._tracing is not None:
            here = {name: self._tracing.engine(engine) for name, engine in here.items()}
            at = {spec.name: spec.address for spec in settings.upstreams}
            elsewhere = {name: self._tracing.engine(one, address=at[name]) for name, one in elsewhere.items()}
        self.engines = [*here.values(), *elsewhere.values()]
        self.store = SqlStore(
            database(settings.db.full),
            search=settings.search == "on",
            search_budget_s=settings.search_budget_ms / 1000,
            observer=observer,
        )
        self.router = Router(
            engines=self.engines,
            aliases=settings.aliases,
            targets=_targets(settings.models, here, elsewhere),
            observer=observer,
        )
        self.recorder = Recorder(
            store=self.store,
            observer=observer,
            policy=settings.store,
            metadata_without_store=settings.metadata_without_store,
            patterns=settings.redactions,
        )
        self.limiter = Limiter(store=self.store, observer=observer)
        self.completions = Completions(
            router=self.router,
            store=self.store,
            recorder=self.recorder,
            on_disconnect=settings.on_disconnect,
            idempotency_ttl_s=settings.idempotency_ttl_s,
            max_completion_bytes=settings.max_completion_bytes,
            lifetimes=Lifetimes(whole_s=settings.retention, body_s=settings.retention_bodies),
            limiter=self.limiter,
        )
        self.janitor = Janitor(store=self.store, observer=observer)
        self.gate = Gate(
            key=settings.api_key, tenants=self.store.tenants, organization=settings.organization, observer=observer
        )
        self.administration = Administration(
            tenants=self.store.tenants, patterns=settings.redactions, changed=self.gate.look
        )
        self.departure = Departure(
            store=self.store, administration=self.administration, changed=self.gate.look, observer=observer
        )
        self.front = Front(
            gate=self.gate,
            observer=observer,
            max_body_bytes=settings.max_body_bytes,
            max_bodies_bytes=settings.max_bodies_bytes,
        )
        self._cors = settings.cors
        self._list_order = settings.list_order
        self._notes_reads = settings.audit == "all"
        self._host = settings.host
        self._refuses_nulls = settings.nulls == "refuse"
        self._drain_s = settings.drain
        self._drained_by: float | None = None

    def application(self, *, own_lifespan: bool) -> ASGIApp:
        """The ASGI application; with ``own_lifespan`` the server that runs it opens and closes the house."""
        lifespan = (lambda _app: self.opened()) if own_lifespan else None
        app = application(
            self.completions,
            self.front,
            metrics=self.metrics,
            version=__version__,
            default_order=self._list_order,
            refuses_nulls=self._refuses_nulls,
            administration=self.administration,
            departure=self.departure,
            notes_reads=self._notes_reads,
            lifespan=lifespan,
        )
        if self._tracing is not None:
            app = self._tracing.application(app)
        if self._cors:
            from hansard.api.pages import OpenToPages

            return OpenToPages(app, self._cors, front=self.front)
        return app

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Store first, then the engines side by side; closed in the opposite order, the store last."""
        async with AsyncExitStack() as stack:
            if self._tracing is not None:
                stack.push_async_callback(self._tracing.stop)
            await self.store.start()
            stack.push_async_callback(self.store.stop)
            try:
                await stack.enter_async_context(self.gate.at_work())
            except StoreUnavailable as error:
                raise StartupError(f"It cannot be told which keys there are. {error.message}") from error
            if self._listens and self.gate.is_open and not is_loopback(self._host):
                raise StartupError(_open_to_all(self._host))
            await stack.enter_async_context(self.janitor.at_work())
            await stack.enter_async_context(self.departure.at_work())
            await stack.enter_async_context(self.limiter.at_work())
            for engine in self.engines:
                stack.push_async_callback(engine.stop)
            stack.callback(self.recorder.close)
            # What outlived its client still needs its engine.
            stack.push_async_callback(self._drain)
            await _start_all(self.engines)
            yield

    def closing(self, *, at: float) -> None:
        """From then on (monotonic seconds) running requests have ``drain`` in all, whoever waits for them."""
        self.completions.shut_down()
        self._drained_by = at + self._drain_s
        self.store.end(within_s=self._drained_by + ENDS_S - time.monotonic())

    def hurry(self) -> None:
        """From now on nothing is waited for."""
        self._drained_by = -math.inf
        self.store.end(within_s=LAST_WORD_S)

    async def _drain(self) -> None:
        left_s = self._drain_s if self._drained_by is None else max(self._drained_by - time.monotonic(), 0.0)
        await self.recorder.drain(within_s=left_s)


def create_app(settings: Settings, *, observer: Observer = ignore) -> ASGIApp:
    """Hansard as an ASGI application for a server of your choice; its lifespan opens and closes everything."""
    return House(settings, observer=observer).application(own_lifespan=True)


def serve(
    settings: Settings,
    *,
    on_ready: Callable[[str, Sequence[ServedModel]], None],
    on_stop: Callable[[], None] = lambda: None,
) -> None:
    """Run until a signal says stop. ``on_ready`` is told the base URL and the models once all of them answer.

    ``on_stop`` is called when the signal comes, before anything is waited for.

    Raises StartupError before anything is opened if the address cannot be had, or another server has the database.
    """
    share_one_arena()
    with listening(settings.host, settings.port) as listener, _alone(settings.db_file):
        _run(_serve(settings, listener, on_ready, on_stop))


def _alone(db_file: Path | None) -> AbstractContextManager[None]:
    """A file is one server's; of a database server's database there may be any number of replicas."""
    return nullcontext() if db_file is None else alone(db_file)


def _run(main: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:  # no wheel for this platform; asyncio's own loop serves as well, only slower
        asyncio.run(main)
    else:
        uvloop.run(main)


async def _serve(
    settings: Settings,
    listener: socket.socket,
    on_ready: Callable[[str, Sequence[ServedModel]], None],
    on_stop: Callable[[], None],
) -> None:
    import uvicorn
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    house = House(settings, observer=_sink(settings.log), listens=True)
    certified = None if settings.tls_cert is None else tls(settings.tls_cert, settings.tls_key)

    class Server(ends_at_once(uvicorn.Server, hurry=house.hurry)):  # type: ignore[misc]
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets if certified is None else [])
            if certified is not None:
                self.servers = [await shaking_hands(self, listener, within_s=settings.silence_s)]
            # What is there now stays: the collector need not walk over it again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(*GC_THRESHOLDS)
            on_ready(base_url(listener, "http" if certified is None else "https"), house.router.models())

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            on_stop()
            house.closing(at=time.monotonic())
            await super().shutdown(sockets)

    config = uvicorn.Config(
        house.application(own_lifespan=False),
        loop="none",
        http=_protocol(AutoHTTPProtocol, house.observer, settings),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=math.ceil(settings.drain),
    )
    config.load()
    config.ssl = certified
    nothing_is_said_twice()
    with signals_cut_waiting_short(hurry=house.hurry):
        async with house.opened():
            with on_signals(lambda: None):  # the server raises what it has handled once more when it is done
                await Server(config).serve(sockets=[listener])


def _sink(log: Literal["text", "json", "off"]) -> Observer:
    if log == "json":
        from hansard.observe.lines import Logged, lines

        logging.getLogger().addHandler(Logged())
        return lines
    return console if log == "text" else ignore


def _protocol(server: type[asyncio.Protocol], observer: Observer, settings: Settings) -> type[asyncio.Protocol]:
    """The server's protocol with what it lacks."""
    patient = enveloped(
        without_upgrades(server), observer=observer, silence_s=settings.silence_s, body_s=settings.body_s
    )
    return corked(noticing(impatient(in_turn(patient), unread_s=settings.unread_s)))


async def _start_all(engines: Sequence[Engine]) -> None:
    """Start them side by side; if some cannot, say so of all of them at once."""
    outcomes = await asyncio.gather(*(engine.start() for engine in engines), return_exceptions=True)
    failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    problems = [problem for failure in failures if isinstance(failure, StartupError) for problem in failure.problems]
    for failure in failures:
        if not isinstance(failure, StartupError):
            raise failure
    if problems:
        raise StartupError(*problems)


def _tracing(to: Literal["off", "otlp"]) -> Tracing | None:
    if to == "off":
        return None
    try:
        from hansard.traces import over_otlp
    except ImportError as error:
        raise StartupError(f"--traces otlp needs OpenTelemetry: pip install 'hansard[otel]' ({error}).") from error
    return over_otlp(version=__version__)


def _embedded(spec: ModelSpec, settings: Settings, observer: Observer) -> Engine:
    if spec.name == ECHO and spec.path is None:
        from hansard.engines.echo import EchoEngine

        return EchoEngine()
    from hansard.engines.llamacpp.engine import LlamaCppEngine

    return LlamaCppEngine(
        name=spec.name,
        model_path=spec.path,
        mmproj=spec.mmproj,
        ctx=spec.ctx,
        parallel=spec.parallel,
        threads=spec.threads,
        gpu_layers=spec.gpu_layers,
        queue_limit=settings.queue,
        observer=observer,
    )


def _upstreams(settings: Settings, observer: Observer) -> dict[str, Engine]:
    specs = settings.upstreams
    if not specs:
        return {}
    from hansard.engines.patience import Timeouts
    from hansard.engines.upstream import Breaker, Budget, Pauses, UpstreamEngine

    def timeouts(spec: UpstreamSpec) -> Timeouts:
        asked = {name: getattr(spec, name) for name in Timeouts.__struct_fields__}
        return Timeouts(**{name: seconds or None for name, seconds in asked.items() if seconds is not None})

    return {
        spec.name: UpstreamEngine(
            name=spec.name,
            base_url=spec.base_url,
            unix_socket=spec.socket,
            key=spec.key,
            takes_client_key=spec.takes_client_key,
            headers=spec.headers,
            timeouts=timeouts(spec),
            max_connections=spec.max_connections,
            limit_bytes=settings.max_completion_bytes,
            retries=spec.retries,
            pauses=Pauses(first_s=spec.retry_pause_s, longest_s=spec.retry_longest_pause_s),
            budget=Budget(share=spec.retry_share, reserve=spec.retry_reserve),
            breaker=Breaker(
                failures=spec.breaker_failures,
                pause_s=spec.breaker_pause_s,
                longest_pause_s=spec.breaker_longest_pause_s,
                probes=spec.breaker_probes,
            ),
            unsupported=frozenset(spec.unsupported),
            takes_any_model=len(specs) == 1,
            observer=observer,
        )
        for spec in specs
    }


def _targets(
    models: Sequence[ModelSpec], here: Mapping[str, Engine], elsewhere: Mapping[str, Engine]
) -> dict[str, list[Target]]:
    def engine(target: TargetSpec) -> Engine:
        return here[target.model] if target.upstream is None else elsewhere[target.upstream]

    return {
        spec.name: [Target(engine(target), target.model, target.weight) for target in spec.targets]
        for spec in models
        if spec.targets
    }


def _open_to_all(host: str) -> str:
    return (
        f"{host} can be reached by other machines, and there is no key; make one with `hansard keys create`, "
        "set HANSARD_API_KEY or --api-key-file, or listen on 127.0.0.1."
    )
