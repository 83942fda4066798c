"""An error as the JSON answer of a REST route."""

from fastapi.responses import JSONResponse

from agentvoicebox.errors import AgentVoiceBoxError
from agentvoicebox.wire.faults import headers_of, rest_body_of, status_of


def error_response(error: AgentVoiceBoxError, status: int | None = None) -> JSONResponse:
    """`{"error": {…}}` with the status of the error, or with another one."""
    return JSONResponse(
        {"error": rest_body_of(error)}, status_code=status or status_of(error), headers=headers_of(error)
    )
