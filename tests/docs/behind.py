"""Behind: the worker that runs the jobs of a page while its blocks are typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeGuard

from jobqueue import App, Handler, Registry, Worker, set_default_app
from jobqueue.events import Event
from tests.docs.desk import Desk
from tests.support.eventually import eventually

AnyHandler: TypeAlias = Handler[Any]
IDLE_S = 5.0
WAITING = ("wait", "active", "prioritized")
_Shape: TypeAlias = tuple[object, tuple[str, ...]]


class Behind:
    """The default app of a page, whose registry holds what the page has defined so far, and a worker that serves it.

    A `Registry` of the page's named `registry` brings its lifespan. Closed, it raises what has gone wrong meanwhile.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._app = App(Registry(), desk.settings)
        self._worker: Worker | None = None
        self._shape: _Shape = (None, ())
        self._ids: dict[str, tuple[AnyHandler, str]] = {}
        self._troubles: list[str] = []
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._open(self._app)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None and self._worker is not None:
                await self._wait_until_idle()
        finally:
            await self._stop()
            await self._closing.aclose()
            set_default_app(None)
        if error is None:
            assert not self._troubles, "a job of the page went wrong:\n" + "\n".join(self._troubles)

    async def follow(self, names: Mapping[str, object]) -> None:
        """Serve what the page has defined by now."""
        registry = names.get("registry")
        wanted = {handler.name: handler for handler in _handlers_in(names.values())}
        lifespan: object = None
        if isinstance(registry, Registry):
            wanted |= {handler.name: handler for handler in registry}
            lifespan = registry.lifespan
        if not wanted:
            return
        app = self._app
        queues = tuple(sorted({app.queue_of(handler) for handler in wanted.values()}))
        if self._worker is None or self._shape != (lifespan, queues):
            self._shape = (lifespan, queues)
            await self._begin(wanted, registry if isinstance(registry, Registry) else None)
        else:
            self._exchange(wanted)

    async def _begin(self, wanted: Mapping[str, AnyHandler], registry: Registry | None) -> None:
        """Another worker, of another app: what the page holds of the one before stays open until the end."""
        await self._stop()
        own = Registry(lifespan=registry.lifespan if registry is not None else None)
        self._ids = {name: (handler, own.add(handler)) for name, handler in wanted.items()}
        self._open(App(own, self._desk.settings))
        self._worker = Worker(self._app)
        await self._worker.start()

    def _exchange(self, wanted: Mapping[str, AnyHandler]) -> None:
        for name, handler in wanted.items():
            known = self._ids.get(name)
            if known is None or known[0] is not handler:
                if known is not None:
                    self._app.registry.remove(known[1])
                self._ids[name] = (handler, self._app.registry.add(handler))

    def _open(self, app: App) -> None:
        self._closing.push_async_callback(app.close)
        app.events.subscribe(self._hear)
        set_default_app(app)
        self._app = app

    def _hear(self, event: Event) -> None:
        if event.name in ("job.failed", "job.retried") and event.handler not in self._desk.failing:
            self._troubles.append(f"{event.handler}, job {event.job_id}: {event.detail}")

    async def _stop(self) -> None:
        if self._worker is not None:
            await self._worker.stop()
            self._worker = None

    async def _wait_until_idle(self) -> None:
        """Each job that the page has left behind runs, so that one that fails is seen."""
        async with self._desk.redis.client() as redis:

            async def is_idle() -> bool:
                for queue in self._shape[1]:
                    base = f"{self._app.settings.jobs_prefix}:{queue}"
                    if await redis.llen(f"{base}:wait") or await redis.llen(f"{base}:active"):
                        return False
                    if await redis.zcard(f"{base}:prioritized"):
                        return False
                return True

            await eventually(is_idle, IDLE_S)


def _handlers_in(values: Iterable[object]) -> list[AnyHandler]:
    return list(filter(_is_handler, values))


def _is_handler(one: object) -> TypeGuard[AnyHandler]:
    return isinstance(one, Handler)
