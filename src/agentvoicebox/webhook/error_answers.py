"""Error answers of the public port: one JSON object with `error`, and the headers of the status."""

from fastapi import FastAPI, Request, Response

from agentvoicebox.errors import BadCredentials, InvalidEvent, RateLimited
from agentvoicebox.http_server.unmatched import answer_unmatched
from agentvoicebox.webhook.refusal import NotAccepted, unprocessable
from agentvoicebox.webhook.render import as_json


def add_errors(app: FastAPI) -> None:
    """Register the handlers for the server's own errors and for those of HTTP."""
    answer_unmatched(app)

    @app.exception_handler(NotAccepted)
    async def not_accepted(request: Request, error: NotAccepted) -> Response:
        return json_response(error.body, error.status, error.headers)

    @app.exception_handler(InvalidEvent)
    async def invalid(request: Request, error: InvalidEvent) -> Response:
        refusal = unprocessable("json_invalid", ["body"], error.message)
        return json_response(refusal.body, refusal.status)

    @app.exception_handler(BadCredentials)
    async def unauthorized(request: Request, error: BadCredentials) -> Response:
        return _error(401, "invalid_credentials", error.message, {"WWW-Authenticate": "Bearer"})

    @app.exception_handler(RateLimited)
    async def limited(request: Request, error: RateLimited) -> Response:
        return _error(429, error.code, error.message, {"Retry-After": str(int(error.retry_after_s))})


def json_response(body: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(as_json(body), status, headers, media_type="application/json")


def _error(status: int, code: str | None, message: str, headers: dict[str, str]) -> Response:
    body = {"error": {"code": code, "message": message, "type": "invalid_request_error"}}
    return json_response(body, status, headers)
