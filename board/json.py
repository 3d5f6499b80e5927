"""JSON: the answers for programs."""

from __future__ import annotations

from pydantic_core import to_json
from starlette.responses import Response


class Json(Response):
    """A JSON answer. Numbers that JSON does not have, which a foreign job may hold (1e999), become null."""

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(to_json(content, inf_nan_mode="null"), status_code, headers)
