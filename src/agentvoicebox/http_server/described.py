"""An application that describes itself: an OpenAPI 3.1 document with servers, licence, credentials, and every answer.

A route names what it refuses by `refusals(…)`; what each route of an application may refuse is given once, as `common`. The
documents of all ports are in `docs/reference`; tests compare them with the code, and with the answers of a running server.
"""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from pydantic.config import JsonDict

from agentvoicebox import __version__

Responses = dict[int | str, dict[str, Any]]

LICENCE = {"name": "Apache 2.0", "identifier": "Apache-2.0"}
REFUSED = {
    400: "A field or parameter is invalid; `param` names it.",
    401: "No credential, or an invalid one.",
    403: "The key may not do this, its tenant is suspended, or a server without keys was called from elsewhere.",
    404: "It does not exist, or belongs to another tenant.",
    408: "The request did not come in time; the connection is closed.",
    409: "It exists already, or this can't be done to it.",
    413: "The body is too long.",
    429: "Too many requests, or too many wrong credentials from this address.",
    431: "The request has too many headers, or too long ones; the connection is closed.",
    500: "The server failed.",
    503: "The server is at capacity, or something that it needs is away; nothing was changed.",
}
CONNECTION = (408, 431, 500)  # of every port: `http_server` refuses the first two, before an application is asked
PUBLIC: dict[str, Any] = {"security": []}  # `openapi_extra` of a route that asks for no credential

_RETRY_AFTER = {"description": "Whole seconds until a retry is useful.", "schema": {"type": "integer", "minimum": 1}}
_HEADERS = {
    429: {"Retry-After": {**_RETRY_AFTER, "required": True}},
    503: {"Retry-After": _RETRY_AFTER},  # where it is known
}
_NAMED = "x-schemas"
_OWN_VALIDATION = ("HTTPValidationError", "ValidationError")  # of the framework, whose refusals no route here sends


class FaultBody(BaseModel):
    """The error."""

    message: str = Field(description="For people.")
    type: str = Field(description="`invalid_request_error`, `rate_limit_error` or `server_error`.")
    param: str | None = Field(description="The invalid field.")
    code: str | None = Field(description="Stable; docs/reference/errors.md lists all.")


class Fault(BaseModel):
    """The answer to a refused request."""

    error: FaultBody


def refusals(*statuses: int, fault: type[BaseModel] = Fault, said: Mapping[int, str] | None = None) -> Responses:
    """Descriptions of refusals, for `responses` of a route or router.

    Args:
        statuses: that are sent.
        fault: the body of each.
        said: sentences in place of the usual ones.
    """
    sentences = REFUSED | dict(said or {})
    return {
        status: {"model": fault, "description": sentences[status]}
        | ({"headers": _HEADERS[status]} if status in _HEADERS else {})
        for status in statuses
    }


def answered(model: Any, description: str = "Done.", *, status: int = 200) -> Responses:
    """The description of an answer whose body is a `model`."""
    return {status: {"model": model, "description": description}}


def file_answered(content: Mapping[str, Mapping[str, Any]], description: str) -> Responses:
    """The description of an answer in one of several content types."""
    return {200: {"content": {kind: dict(each) for kind, each in content.items()}, "description": description}}


class Described(FastAPI):
    """An application without pages of its own, whose document is complete.

    Args:
        title: of the document.
        about: what the port is for, in Markdown.
        port: on which the server listens by default.
        schemes: the credentials of its routes, by name (OpenAPI's security schemes); one of them is enough. A route that takes
            none has `PUBLIC`.
        common: what each route may answer.
        schemas: further ones, to which bodies refer.
    """

    def __init__(
        self,
        title: str,
        about: str,
        *,
        port: int,
        schemes: Mapping[str, dict[str, Any]] | None = None,
        common: Responses | None = None,
        schemas: Mapping[str, dict[str, Any]] | None = None,
        is_public: bool = True,
        openapi_url: str | None = None,
    ) -> None:
        servers: list[dict[str, Any]] = [
            {"url": f"http://127.0.0.1:{port}", "description": "`agentvoicebox serve` on this machine"}
        ]
        if is_public:
            host = {"default": "voice.example", "description": "Name of your server, or of the proxy before it."}
            servers.append({"url": "https://{host}", "description": "Over TLS", "variables": {"host": host}})
        super().__init__(
            title=title,
            version=__version__,
            description=about,
            license_info=LICENCE,
            servers=servers,
            responses={**refusals(*CONNECTION), **(common or {})},
            generate_unique_id_function=_name_of,
            docs_url=None,
            redoc_url=None,
            openapi_url=openapi_url,
        )
        self._schemes = dict(schemes or {})
        self._schemas = dict(schemas or {})

    def openapi(self) -> dict[str, Any]:
        """The document."""
        if self.openapi_schema is None:
            document = super().openapi()
            document["security"] = [{name: []} for name in self._schemes]
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas |= self._schemas
            _name_schemas(document["paths"])
            _name_schemas(schemas)
            if self._schemes:
                document["components"]["securitySchemes"] = self._schemes
            for name in _OWN_VALIDATION:
                schemas.pop(name, None)
            for methods in document["paths"].values():
                for operation in methods.values():
                    operation["responses"] = _sorted(operation["responses"])
        assert self.openapi_schema is not None
        return self.openapi_schema


def schema_named(*kinds: type) -> JsonDict:
    """`json_schema_extra` of a field whose value is of one of these kinds, whose schemas the application adds (`schemas`)."""
    return {_NAMED: [kind.__name__ for kind in kinds]}


def router(prefix: str = "", *, tag: str, responses: Responses) -> APIRouter:
    """A router whose routes may all answer so."""
    return APIRouter(prefix=prefix, tags=[tag], responses=responses, generate_unique_id_function=_name_of)


def _name_schemas(value: Any) -> None:
    """Put references where `schema_named` has left names: pydantic would look for its own schemas behind them."""
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _name_schemas(each)
    if isinstance(value, dict) and _NAMED in value:
        references = [{"$ref": f"#/components/schemas/{name}"} for name in value[_NAMED]]
        nullable = [{"type": "null"}] if {"type": "null"} in value.get("anyOf", ()) else []
        value.clear()
        value["anyOf"] = [*references, *nullable]


def _name_of(route: APIRoute) -> str:
    return route.name


def _sorted(responses: dict[str, Any]) -> dict[str, Any]:
    """By status, without the framework's own 422."""
    kept = {status: each for status, each in responses.items() if _OWN_VALIDATION[0] not in str(each)}
    return dict(sorted(kept.items()))
