"""Unmasking: what was shown with masks comes back edited, and the secrets are put back where they were."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from jobqueue.encoding import as_array, as_object, decode_json
from jobqueue.masking import DEEPEST, MASK, Masker, may_be_json


@dataclass(frozen=True, slots=True)
class Unmasked:
    """An edited value with the stored secrets in it; good to be stored where nothing is `left` and nothing revealed.

    `left` has the path of each mask that stands for no secret, and so is no value. `reveals` is True where a secret has
    come to a place that would be shown.
    """

    value: Any
    left: tuple[tuple[str, ...], ...] = ()
    reveals: bool = False


def unmask(edited: Any, stored: Any, masker: Masker, after: Masker) -> Unmasked:
    """`edited`, with a secret of `stored` wherever it has the mask that this secret was shown as.

    `stored` was shown by `masker`, and what comes of it will be by `after`. An item of a list is the stored one that
    was shown so, wherever it now stands, else the one in its old place: among more or fewer items than there were, only
    the former.
    """
    if MASK not in _spelled(edited):
        return Unmasked(edited)
    left: list[tuple[str, ...]] = []
    value = _put_back(edited, _Known(stored, masker.payload(stored)), (), left)
    as_it_came = _put_back(edited, _NOTHING, (), [])
    return Unmasked(value, tuple(left), after.payload(value) != after.payload(as_it_came))


@dataclass(frozen=True, slots=True)
class _Known:
    """A stored value, and what was shown for it. Both are None where nothing was stored."""

    value: Any = None
    shown: Any = None


_NOTHING: Final = _Known()


def _put_back(edited: Any, known: _Known, path: tuple[str, ...], left: list[tuple[str, ...]]) -> Any:
    if isinstance(edited, str) and edited == known.shown:
        return known.value
    if edited == MASK:
        left.append(path)
    if len(path) > DEEPEST:
        return edited
    if isinstance(edited, str):
        return _put_back_in_text(edited, known, path, left)
    if isinstance(edited, dict):
        fields: dict[str, Any] = {}
        for name, inner in as_object(edited).items():
            fields[name] = _put_back(inner, _known_field(known, name), (*path, name), left)
        return fields
    if isinstance(edited, list):
        items: list[Any] = [*edited]
        before = _counterparts(items, known)
        for index, inner in enumerate(items):
            items[index] = _put_back(inner, before[index], (*path, str(index)), left)
        return items
    return edited


def _put_back_in_text(edited: str, known: _Known, path: tuple[str, ...], left: list[tuple[str, ...]]) -> str:
    """A text that is JSON was masked inside."""
    inner = _json_in(edited) if MASK in edited else None
    if inner is None:
        return edited
    value = _put_back(inner, _Known(_json_in(known.value), _json_in(known.shown)), path, left)
    return json.dumps(value, ensure_ascii=False)


def _json_in(text: Any) -> Any:
    """The JSON object, list or text that a text holds; None where it holds none of them."""
    if not isinstance(text, str) or not may_be_json(text):
        return None
    try:
        return decode_json(text)
    except ValueError:
        return None


def _known_field(known: _Known, name: str) -> _Known:
    """What lies in a value that is masked whole is not known: only the whole of it comes back."""
    if name not in as_object(known.shown):
        return _NOTHING
    return _Known(as_object(known.value)[name], as_object(known.shown)[name])


def _counterparts(items: list[Any], known: _Known) -> list[_Known]:
    """For each item of an edited list the stored one that it is taken for. Only those with a mask need one."""
    before = [_Known(*pair) for pair in zip(as_array(known.value), as_array(known.shown), strict=False)]
    places: dict[str, list[int]] = {}
    for index, one in enumerate(before):
        places.setdefault(_spelled(one.shown), []).append(index)
    spelled = [_spelled(item) for item in items]
    taken = {places[text][0] for text in spelled if len(places.get(text, ())) == 1}
    found: list[_Known] = []
    for index, text in enumerate(spelled):
        same = places.get(text, [])
        if len(same) == 1:
            found.append(before[same[0]])
        elif len(items) == len(before) and (index in same or (not same and index not in taken)):
            found.append(before[index])
        else:
            found.append(_NOTHING)
    return found


def _spelled(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
