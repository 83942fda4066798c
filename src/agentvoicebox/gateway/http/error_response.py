"""An error as the JSON answer of a REST route."""

import msgspec
from fastapi.responses import JSONResponse

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.wire.faults import body_of, headers_of, status_of


def error_response(error: AgentVoiceBoxError, status: int | None = None) -> JSONResponse:
    """`{"error": {…}}` with the status of the error, or with another one."""
    body = msgspec.to_builtins(body_of(error))
    del body["event_id"]
    return JSONResponse({"error": body}, status_code=status or status_of(error), headers=headers_of(error))
