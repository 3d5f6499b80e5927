"""Told: what a model is told of each job, and what callers ask for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hypothesis import strategies as st


class Asked(NamedTuple):
    """What a caller asks for that any pattern must bear."""

    job_id: str | None = None
    delay_ms: int = 0
    priority: int = 0


asked = st.builds(
    Asked,
    st.sampled_from([None, None, None, None, "x", "y"]),
    st.sampled_from([0, 0, 0, 500]),
    st.sampled_from([0, 0, 0, 2]),
)


@dataclass(slots=True)
class Told:
    """What the model knows of a job: its place in the order of enqueueing, and what happened to it.

    `key` is what the pattern goes by. `is_meddled` with: somebody took it out of our hands, so that we owe it nothing.
    `has_ended` once, though it may have been retried since.
    """

    job_id: str
    number: int
    key: str
    is_ours: bool = True
    runs: int = 0
    is_meddled: bool = False
    is_cancelled: bool = False
    has_ended: bool = False
