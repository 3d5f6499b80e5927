"""Watching: changes of a model become webhooks, in the transaction that makes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeGuard, cast
from weakref import WeakKeyDictionary, WeakSet

from pydantic import JsonValue
from pydantic_core import to_jsonable_python
from sqlalchemy import Connection, event, inspect, select
from sqlalchemy.orm import ColumnProperty, InstanceState, Mapper, Session, object_session

from handlers.send_webhook import send_webhook
from handlers.webhooks.message import SendWebhook, iso_time
from handlers.webhooks.models import WebhookSubscription
from jobqueue.app import App, default_app
from jobqueue.clock import now_ms
from jobqueue.errors import InvalidOption
from jobqueue.masking import is_secret_name
from jobqueue.options import NOTHING_ASKED
from jobqueue.outbox import write
from jobqueue.outbox.rows import named

Action = Literal["create", "update", "delete"]

_BETWEEN_KEYS: Final = ","


@dataclass(frozen=True, slots=True)
class _Change:
    """What happened to one object, and what it looks like now, or looked like before it was deleted."""

    connection: Connection
    action: Action
    resource_id: str
    data: dict[str, JsonValue]


@dataclass(eq=False)
class Watch:
    """A model that is watched until `stop`. Concurrency: of each session its own thread or loop, as sessions are.

    Invariant: `_changes` has those of the flush that a session is at; what a failed flush left behind is dropped when
    the next one begins.
    """

    model: type[Any]
    name: str
    fields: tuple[str, ...]
    app: App | None = None
    _changes: WeakKeyDictionary[Session, list[_Change]] = field(default_factory=WeakKeyDictionary[Session, Any])
    _changed: WeakSet[InstanceState[Any]] = field(default_factory=WeakSet[InstanceState[Any]])

    def start(self) -> None:
        for target, identifier, listener in self._listeners():
            event.listen(target, identifier, listener, propagate=target is self.model)

    def stop(self) -> None:
        """Nothing that is flushed from now on is told. Twice is fine."""
        for target, identifier, listener in self._listeners():
            if event.contains(target, identifier, listener):
                event.remove(target, identifier, listener)

    def _listeners(self) -> Sequence[tuple[Any, str, Any]]:
        return (
            (self.model, "after_insert", self._created),
            (self.model, "before_update", self._updating),
            (self.model, "after_update", self._updated),
            (self.model, "before_delete", self._deleted),  # after it nobody can read what was not loaded
            (Session, "before_flush", self._begin),
            (Session, "after_flush", self._tell),
        )

    def _begin(self, session: Session, _context: object, _instances: object) -> None:
        self._changes.pop(session, None)

    def _created(self, _mapper: Mapper[Any], connection: Connection, target: object) -> None:
        self._note("create", connection, target)

    def _updating(self, _mapper: Mapper[Any], _connection: Connection, target: object) -> None:
        """It is called for every object that was looked at, also where nothing is written.

        What is changed to an SQL expression is known as changed before the update, and what it came to after it.
        """
        state = _state_of(target)
        if any(state.attrs[name].history.has_changes() for name in self.fields):
            self._changed.add(state)
        else:
            self._changed.discard(state)

    def _updated(self, _mapper: Mapper[Any], connection: Connection, target: object) -> None:
        state = _state_of(target)
        if state in self._changed:
            self._changed.discard(state)
            self._note("update", connection, target)

    def _deleted(self, _mapper: Mapper[Any], connection: Connection, target: object) -> None:
        self._note("delete", connection, target)

    def _note(self, action: Action, connection: Connection, target: object) -> None:
        session = object_session(target)
        if session is None:
            return
        state = _state_of(target)
        key = state.mapper.primary_key_from_instance(target)
        data = self._values(connection, state, key)
        change = _Change(connection, action, _BETWEEN_KEYS.join(map(str, key)), data)
        self._changes.setdefault(session, []).append(change)

    def _values(self, connection: Connection, state: InstanceState[Any], key: Sequence[object]) -> dict[str, JsonValue]:
        """The fields as JSON. What the database has made, and what was never loaded, is read."""
        values = {name: state.dict[name] for name in self.fields if name in state.dict}
        missing = [name for name in self.fields if name not in values]
        if missing:
            mapper: Mapper[Any] = inspect(self.model)
            columns = [getattr(self.model, name) for name in missing]
            is_it = [column == value for column, value in zip(mapper.primary_key, key, strict=True)]
            row = connection.execute(select(*columns).where(*is_it)).one_or_none()
            values |= dict(zip(missing, row, strict=True)) if row is not None else dict.fromkeys(missing)
        return cast(dict[str, JsonValue], _as_json({name: values[name] for name in self.fields}))

    def _tell(self, session: Session, _context: object) -> None:
        """All jobs of a flush are written at once, on the connection and so in the transaction of the changes."""
        changes = self._changes.pop(session, [])
        for connection in dict.fromkeys(change.connection for change in changes):
            self._write(connection, [change for change in changes if change.connection is connection])

    def _write(self, connection: Connection, changes: Sequence[_Change]) -> None:
        table = WebhookSubscription
        active = select(table.id).where(table.model == self.name, table.is_active).order_by(table.id)
        subscribers = connection.scalars(active).all()
        app = default_app() if self.app is None and subscribers else self.app
        if app is None or not subscribers:
            return
        moment = iso_time(now_ms())
        payloads = [
            SendWebhook(
                subscription_id=subscriber,
                action=change.action,
                resource_id=change.resource_id,
                data=change.data,
                timestamp=moment,
            )
            for change in changes
            for subscriber in subscribers
        ]
        jobs = [named(app.enqueuer.encode(send_webhook, payload, NOTHING_ASKED)) for payload in payloads]
        write(connection, app.settings.jobs_prefix, jobs)


def watch(
    model: type[Any],
    app: App | None = None,
    *,
    name: str | None = None,
    fields: Collection[str] | None = None,
    exclude: Collection[str] = (),
) -> Watch:
    """Enqueue `sendWebhook` for each active subscription when a row of a mapped class is created, updated or deleted.

    In the same transaction, by the outbox: the jobs exist if and only if the change is committed. `name` is the model
    that subscriptions name, by default that of the class with a small first letter. `fields` are the attributes that
    `data` has, by default all columns but those in `exclude`; a change of no such field tells nobody. Without an app
    that of the module-level functions is used. `stop()` of what is returned ends it.

    Seen is what a session flushes; what statements do (`update(Model)`, `delete(Model)`, the database's cascades) is
    not. The tables of the outbox and of the subscriptions must be in the database of the model.
    Raises: InvalidOption for what is not mapped, fields that it has not, and, where `fields` is not given, for a column
    whose name is that of a secret.
    """
    columns = _columns_of(model)
    unknown = [one for one in (*(fields or ()), *exclude) if one not in columns]
    if unknown:
        raise InvalidOption(
            "fields", f"{model.__name__} has no column {unknown[0]!r:.100}; it has {', '.join(columns)}"
        )
    chosen = [one for one in columns if one not in exclude and (fields is None or one in fields)]
    secret = next((one for one in chosen if fields is None and is_secret_name(one)), None)
    if secret is not None:
        problem = f"{model.__name__}.{secret} has the name of a secret, and subscribers would see it"
        raise InvalidOption("fields", f"{problem}; exclude it, or say which fields they may see")
    watching = Watch(model, name or f"{model.__name__[:1].lower()}{model.__name__[1:]}", tuple(chosen), app)
    watching.start()
    return watching


def _columns_of(model: type[Any]) -> tuple[str, ...]:
    mapper: object = inspect(model, raiseerr=False)
    if not _is_mapper(mapper):
        raise InvalidOption("model", f"must be a class that SQLAlchemy has mapped, not {model!r:.100}")
    properties: Mapping[str, ColumnProperty[Any]] = dict(mapper.column_attrs.items())
    columns = {column for table in mapper.tables for column in table.columns}
    return tuple(name for name, one in properties.items() if columns.intersection(one.columns))


def _is_mapper(found: object) -> TypeGuard[Mapper[Any]]:
    return isinstance(found, Mapper)


def _state_of(target: object) -> InstanceState[Any]:
    return cast(InstanceState[Any], inspect(target))


def _as_json(values: dict[str, Any]) -> Any:
    """Times as ISO 8601, decimals and UUIDs as texts, bytes as base64, enums as their values. NaN has no JSON: null."""
    return to_jsonable_python(values, bytes_mode="base64", inf_nan_mode="null")
