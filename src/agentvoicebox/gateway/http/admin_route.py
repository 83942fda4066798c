"""What every route of the administration does before and after its own work: authorization, body size, errors.

No body is read or validated before the request has shown an admin key.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from agentvoicebox.errors import ClientError
from agentvoicebox.events.destinations import UnknownDestination
from agentvoicebox.gateway.http.credentials import KEYED
from agentvoicebox.http_server.described import refusals, router
from agentvoicebox.tenancy.api_keys import UnknownKey
from agentvoicebox.tenancy.principal import Principal
from agentvoicebox.tenancy.tenants import TenantExists

MAX_BODY_BYTES = 16 * 1024
BAD_REQUEST = 400

Admit = Callable[[Request], Awaitable[Principal]]


class BodyTooLong(ClientError):
    """The body exceeds MAX_BODY_BYTES."""

    code = "request_too_large"


class Conflict(ClientError):
    """The request is valid, but not for this resource in its present state."""

    code = "conflict"


class _Bounded(Request):
    """A request whose body is read up to MAX_BODY_BYTES."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            read = bytearray()
            async for chunk in self.stream():
                read += chunk
                if len(read) > MAX_BODY_BYTES:
                    raise BodyTooLong(f"The body may hold {MAX_BODY_BYTES // 1024} KiB.")
            self._body = bytes(read)
        return self._body


def admin_router(admit: Admit) -> APIRouter:
    """A router of `/v1/admin`, whose routes authorize first. `admit`: see `route_class`."""
    made = router("/v1/admin", tag="admin", responses={**KEYED, **refusals(413)})
    made.route_class = route_class(admit)
    return made


def route_class(admit: Admit) -> type[APIRoute]:
    """Routes that authorize first, and answer client errors in the API's format."""

    class AdminRoute(APIRoute):
        """One route."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            """See FastAPI."""
            answer = super().get_route_handler()

            async def answered(request: Request) -> Response:
                request.state.principal = await admit(request)
                bounded = _Bounded(request.scope, request.receive)
                try:
                    await bounded.body()  # here, because FastAPI would turn every error in it into one validation error
                    response = await answer(bounded)
                except RequestValidationError as error:
                    response = refusal(_fault(error))
                except HTTPException as error:
                    if error.status_code != BAD_REQUEST:
                        raise
                    # FastAPI's answer to a body that is not UTF-8, or nested too deeply
                    response = refusal(ClientError("The body can't be read as JSON.", code="invalid_json"))
                except ClientError as error:
                    response = refusal(error)
                response.headers["Cache-Control"] = "no-store"
                return response

            return answered

    return AdminRoute


def refusal(error: ClientError) -> JSONResponse:
    """The answer to a client error."""
    match error:
        case UnknownKey() | UnknownDestination():
            status = 404
        case TenantExists() | Conflict():
            status = 409
        case BodyTooLong():
            status = 413
        case _:
            status = 400
    body = {"message": error.message, "type": error.error_type, "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, status)


def _fault(error: RequestValidationError) -> ClientError:
    """The first validation error, as a sentence that names the field and does not repeat its value."""
    first = error.errors()[0]
    place = [str(each) for each in first["loc"][1:]] if first["type"] != "json_invalid" else []
    field = ".".join(place)
    if not field:
        return ClientError("The body should be a JSON object.", code="invalid_json", param=None)
    match first["type"]:
        case "missing":
            return ClientError(
                f"Missing required parameter: '{field}'.", code="missing_required_parameter", param=field
            )
        case "extra_forbidden":
            return ClientError(f"Unknown parameter: '{field[:100]}'.", code="unknown_parameter", param=field[:100])
        case _:
            return ClientError(f"Invalid value for '{field}': {first['msg']}.", code="invalid_value", param=field)
