"""OpenAPI: the document of the routes, made of the table of operations and of the types that answer and ask."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, TypeAlias, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode

from board.access import REALM
from board.api import bodies
from board.api.answers import Data, ProblemShown
from board.api.operations import JSON, Operation
from jobqueue._version import __version__

Schema: TypeAlias = dict[str, Any]

_ANSWERED: Final[JsonSchemaMode] = "serialization"
_ASKED: Final[JsonSchemaMode] = "validation"
_REF: Final = "#/components/schemas/{model}"
_PROBLEM: Final = {"$ref": "#/components/schemas/ProblemShown"}
_OF_A_HANDLER: Final = (bodies.Enqueue, bodies.NewCronJob, bodies.CronJobChanges)
_WORDS: Final = {
    400: "What was asked cannot be meant; `fieldErrors` names what is wrong.",
    401: "Credentials are needed, or those given are wrong.",
    403: "A change that does not come from the board's own pages, a host that is not served, or a read-only board.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "The state of things does not allow it: `error` says which state.",
    413: "The body or the payload is too large.",
    500: "Something went wrong; the log has it under the request's id.",
    503: "Redis or the database is away. `outcome_unknown`: it went away in between.",
}
_REQUEST_ID: Final[Schema] = {
    "description": "The caller's where it is harmless, else a new one.",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"},
}
_PROBLEM_EXAMPLE: Final = {
    "error": "invalid",
    "message": "options.delayMs: must be a whole number from 0 to 2147483647, not -1",
    "fieldErrors": {"options.delayMs": "must be a whole number from 0 to 2147483647, not -1"},
    "requestId": "5f0c7d1f4f0b4b0c9d8e7f6a5b4c3d2e",
}
_HEADERS: Final[Mapping[str, Schema]] = {"X-Request-Id": {"$ref": "#/components/headers/RequestId"}}
_NAMES: Final = {"jobId": "1", "rowId": "1", "queue": "jobs", "id": "019b7f3e-7c00-7000-8000-000000000000"}
"""An example of each name in a path."""
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_SECURITY: Final[Mapping[str, list[dict[str, list[str]]]]] = {
    "basic or bearer": [{"basic": []}, {"bearer": []}],
    "basic": [{"basic": []}],
    "none": [],
}


def document(operations: Sequence[Operation], root_path: str, handlers: Sequence[str]) -> Schema:
    """OpenAPI 3.1. `root_path` is where the app is mounted, `handlers` are the names that a job may have."""
    schemas = _Schemas(operations)
    for body in _OF_A_HANDLER:
        schemas.named[body.__name__]["properties"]["handler"]["enum"] = list(handlers)
    paths: dict[str, dict[str, Schema]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(
            operation, schemas, _links(operation, operations)
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "jobqueue", "version": __version__, "description": "The admin routes of jobqueue."},
        "servers": [{"url": root_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas.named,
            "responses": {str(status): _problem(status) for status in _WORDS},
            "headers": {"RequestId": _REQUEST_ID},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": f"realm {REALM}"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "ADMIN_API_TOKEN"},
            },
        },
    }


class _Plain(GenerateJsonSchema):
    """Without the titles that pydantic makes of names."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False


class _Schemas:
    """The JSON Schema of each type that the table names; what they share is `named`."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        shapes = [shape for one in operations for shape in one.answers.values() if shape is not None]
        asked = [one.body for one in operations if one.body is not None]
        adapters = [_adapter(_data_of(shape), _ANSWERED) for shape in (*shapes, ProblemShown)]
        adapters += [_adapter(body, _ASKED) for body in asked]
        self._of, shared = TypeAdapter.json_schemas(adapters, ref_template=_REF, schema_generator=_Plain)
        self.named: Schema = shared.get("$defs", {})

    def of_answer(self, shape: Any) -> Schema:
        schema = self._of[str(_data_of(shape)), _ANSWERED]
        if get_origin(shape) is not Data:
            return schema
        return {"type": "object", "properties": {"data": schema}, "required": ["data"]}

    def of_body(self, body: type[BaseModel]) -> Schema:
        return self._of[str(body), _ASKED]


def _adapter(shape: Any, mode: JsonSchemaMode) -> tuple[str, JsonSchemaMode, TypeAdapter[Any]]:
    return str(shape), mode, TypeAdapter(shape)


def _data_of(shape: Any) -> Any:
    """What is inside of `{"data": …}`, where it is nothing else."""
    return get_args(shape)[0] if get_origin(shape) is Data else shape


def _operation(operation: Operation, schemas: _Schemas, links: Schema) -> Schema:
    described: Schema = {
        "operationId": _operation_id(operation),
        "summary": operation.summary,
        "security": _SECURITY[operation.proofs],
        "parameters": [*_path_parameters(operation.path), *_query_parameters(operation.query)],
        "responses": {
            **{str(status): _success(operation, status, schemas, links) for status in operation.answers},
            **{str(status): {"$ref": f"#/components/responses/{status}"} for status in operation.all_problems},
        },
    }
    if operation.about:
        described["description"] = operation.about
    if operation.body is not None:
        content = {JSON: {"schema": schemas.of_body(operation.body)}}
        described["requestBody"] = {"required": operation.needs_body, "content": content}
    return described


def _operation_id(operation: Operation) -> str:
    """postApiAdminJobCancel: what generated clients call it."""
    words = re.findall(r"[A-Za-z0-9]+", operation.path)
    return operation.method.lower() + "".join(word[0].upper() + word[1:] for word in words)


def _path_parameters(path: str) -> list[Schema]:
    names: list[str] = _PARAMETER.findall(path)
    shape = {"type": "string", "minLength": 1}
    return [{"name": name, "in": "path", "required": True, "schema": shape, "example": _NAMES[name]} for name in names]


def _query_parameters(query: type[BaseModel] | None) -> list[Schema]:
    if query is None:
        return []
    fields: dict[str, Schema] = query.model_json_schema(schema_generator=_Plain)["properties"]
    return [_query_parameter(name, field) for name, field in fields.items()]


def _query_parameter(name: str, field: Schema) -> Schema:
    """A query has no null: what may be left out is left out."""
    description = field.pop("description", None)
    kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
    schema = field if field.get("default") is not None else {}
    if kinds:
        schema |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds}
    return {"name": name, "in": "query", "schema": schema} | ({"description": description} if description else {})


def _success(operation: Operation, status: int, schemas: _Schemas, links: Schema) -> Schema:
    described: Schema = {"description": HTTPStatus(status).phrase, "headers": _HEADERS}
    shape = operation.answers[status]
    if shape is not None:
        content: Schema = {"schema": schemas.of_answer(shape)}
        described["content"] = {operation.media_type: content}
    if operation.names:
        described["links"] = links
    return described


def _links(operation: Operation, others: Sequence[Operation]) -> Schema:
    """To the operations on what this one has made."""
    return {
        _operation_id(other): {"operationId": _operation_id(other), "parameters": _told(operation, other)}
        for other in others
        if operation.names.keys() & set(_PARAMETER.findall(other.path))
    }


def _told(operation: Operation, other: Operation) -> Schema:
    """Which parameters of the other operation this one's answer has, and where."""
    in_path = dict.fromkeys(_PARAMETER.findall(other.path), "path")
    places = dict.fromkeys(other.query.model_fields if other.query else (), "query") | in_path
    return {
        f"{places[name]}.{name}": f"$response.body#{pointer}"
        for name, pointer in operation.names.items()
        if name in places
    }


def _problem(status: int) -> Schema:
    content: Schema = {"schema": _PROBLEM}
    if status == 400:
        content["example"] = _PROBLEM_EXAMPLE
    headers = dict(_HEADERS)
    if status == 401:
        headers["WWW-Authenticate"] = {"schema": {"type": "string"}, "required": True}
    return {"description": _WORDS[status], "headers": headers, "content": {JSON: content}}
