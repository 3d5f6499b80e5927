"""Asking: what a handler in a child can have from its worker alone: jobs enqueued, and its children's results."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, cast

from pydantic import TypeAdapter

from jobqueue import encoding
from jobqueue.children import ChildOptions, Children
from jobqueue.errors import InvalidOption, InvalidPayload, JobCancelled, PayloadTooLarge
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions, Job, PlainOptions
from jobqueue.options import check_options
from jobqueue.worker.process.failures import stand_in
from jobqueue.worker.process.location import module_of
from jobqueue.worker.process.wire import (
    Answer,
    Ask,
    AskFamily,
    AskJob,
    Kind,
    Offspring,
    Refused,
    Stored,
    encode_options,
)

_ANY: TypeAdapter[Any] = TypeAdapter(Any)


class Asking:
    """The questions of one try. `say` sends one, and is False where the try is over.

    Concurrency: questions from any loop and thread, answers from the thread that listens to the worker.
    """

    def __init__(self, payload_bytes: int, say: Callable[[Ask], bool]) -> None:
        self._payload_bytes = payload_bytes
        self._say = say
        self._numbers = itertools.count(1)
        self._asked: dict[int, Future[Any]] = {}

    async def enqueue(
        self, handler: Handler[Any] | str, payload: Any, options: EnqueueOptions, created_by: str
    ) -> Enqueued:
        """As in the worker: what can be told to be wrong is raised before the worker is asked."""
        if check_options(options).session is not None:
            raise InvalidOption("session", "a job in a process of its own cannot hand its transaction to the worker")
        return await self._job("job", handler, payload, options)

    async def add_child(
        self, parent: Job, handler: Handler[Any] | str, payload: Any, options: ChildOptions
    ) -> Enqueued:
        check_options(cast(EnqueueOptions, {name: one for name, one in options.items() if name != "on_failure"}))
        return await self._job("child", handler, payload, options)

    async def children_of(self, job: Job) -> Children:
        children: Children = await self._ask(lambda number: AskFamily(number, "children"))
        return children

    async def remove_pending_children(self, job: Job) -> None:
        await self._ask(lambda number: AskFamily(number, "remove_pending"))

    def answer(self, answer: Answer) -> None:
        """The worker has answered."""
        asked = self._asked.pop(answer.number)
        match answer:
            case Stored():
                asked.set_result(answer.enqueued)
            case Offspring():
                asked.set_result(answer.decoded)
            case Refused(_, told):
                asked.set_exception(stand_in(told))

    async def _job(self, kind: Kind, handler: Handler[Any] | str, payload: Any, options: PlainOptions) -> Enqueued:
        payload_json = self._encode(handler, payload)
        name, module = (handler, None) if isinstance(handler, str) else (handler.name, module_of(handler.function))
        asked = encode_options(options)
        enqueued: Enqueued = await self._ask(lambda number: AskJob(number, kind, name, module, payload_json, asked))
        return enqueued

    async def _ask(self, question: Callable[[int], Ask]) -> Any:
        number, asked = next(self._numbers), Future[Any]()
        asked.set_running_or_notify_cancel()  # whoever waits may give up, and the answer can be set all the same
        self._asked[number] = asked
        if not self._say(question(number)):
            raise JobCancelled("the try is over")
        return await asyncio.wrap_future(asked)

    def _encode(self, handler: Handler[Any] | str, payload: Any) -> str:
        """Raises: InvalidPayload; PayloadTooLarge."""
        if isinstance(handler, str):
            name, adapter, valid, has_secrets = handler, _ANY, payload, True
        else:
            name, adapter, has_secrets = handler.name, handler.payload or _ANY, handler.has_secrets
            valid = handler.validate(payload)
        try:
            encoded = encoding.encode_payload(adapter, valid, has_secrets=has_secrets)
        except ValueError as error:
            raise InvalidPayload(name, {"payload": f"cannot be stored as JSON: {error}"}) from error
        size = encoding.utf8_size(encoded)
        if size > self._payload_bytes:
            raise PayloadTooLarge(size, self._payload_bytes)
        return encoded
