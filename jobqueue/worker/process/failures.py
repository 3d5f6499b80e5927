"""Failures: an error as it is told to another process, and the one that stands in for it there.

Errors are not pickled, which would run code of their makers' and fails for many of them. What crosses is the names of
an error's class and of that class's bases, its text, its trace and its plain attributes; on the other side the first
of those classes that is loaded there is given a subclass that says the same. So `unrecoverable`, a backoff function
and `except` know it for what it was.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

from jobqueue.worker.outcomes import reason_of, trace_of
from jobqueue.worker.process.location import class_here, name_of

_MOST_ATTRIBUTES: Final = 20
_LONGEST_ATTRIBUTE: Final = 1_000

Scalar: TypeAlias = str | int | float | bool | None


class Told(NamedTuple):
    """An error in words. `kinds` names its class and the bases of that, the nearest first."""

    kinds: tuple[str, ...]
    text: str
    trace: str
    attributes: dict[str, Scalar]


def tell(error: BaseException) -> Told:
    kinds = (name_of(kind) for kind in type(error).__mro__ if issubclass(kind, BaseException))
    return Told(tuple(kinds), reason_of(error), trace_of(error), _attributes_of(error))


def _attributes_of(error: BaseException) -> dict[str, Scalar]:
    """Those that are short and plain, such as the `delay_ms` of a Retry."""
    try:
        everything = dict(vars(error))
    except BaseException:  # an error of somebody's own may have a `__dict__` that raises
        return {}
    plain = {name: value for name, value in everything.items() if _is_plain(value)}
    return dict(list(plain.items())[:_MOST_ATTRIBUTES])


def _is_plain(value: object) -> bool:
    match value:
        case str():
            return len(value) <= _LONGEST_ATTRIBUTE
        case int():
            return value.bit_length() <= _LONGEST_ATTRIBUTE
        case _:
            return value is None or isinstance(value, float)


def stand_in(told: Told) -> BaseException:
    """An error of the same class, or of the nearest of its bases that is known here."""
    name = told.kinds[0].rpartition(":")[2].rpartition(".")[2]
    made = (_made_or_none(kind, name, told) for kind in told.kinds)
    return next((error for error in made if error is not None), RuntimeError(told.text))


class _StandIn:
    """Says what the error said, whatever its class makes of that."""

    args: tuple[Any, ...]

    def __str__(self) -> str:
        return str(self.args[0])


@lru_cache(maxsize=1_000)
def _class_for(kind: str, name: str) -> type[BaseException]:
    """Raises: LookupError where its module is not loaded here."""
    known = class_here(kind)
    if known is None:
        raise LookupError(kind)
    return type(name, (_StandIn, known), {"__module__": known.__module__})


def _made_or_none(kind: str, name: str, told: Told) -> BaseException | None:
    """Without its `__init__`, which may want arguments that nobody knows here.

    None where the class is not known or refuses (an ExceptionGroup is nothing without its errors): its base will do.
    """
    try:
        made = _class_for(kind, name)
        error = _native(made).__new__(made)
        error.args = (told.text,)
        error.__dict__.update(told.attributes)
    except BaseException:  # somebody's own class may do anything
        return None
    return error


def _native(kind: type[BaseException]) -> type[BaseException]:
    """The nearest base that is Python's own, which alone can make one without knowing more."""
    natives = (base for base in kind.__mro__ if base.__module__ == "builtins" and issubclass(base, BaseException))
    return next(natives)
