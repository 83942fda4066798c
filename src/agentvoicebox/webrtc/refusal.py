"""Why a call was not taken."""

from agentvoicebox.errors import AgentVoiceBoxError


class CallRefused(AgentVoiceBoxError):
    """The call was not taken. Nothing of it is left.

    Attributes:
        status: of the answer over HTTP.
        type: of the error on the wire.
    """

    def __init__(self, message: str, *, status: int, code: str | None, error_type: str = "") -> None:
        super().__init__(message, code=code)
        self.status = status
        self.type = error_type or ("server_error" if status >= 500 else "invalid_request_error")


def invalid_offer(message: str) -> CallRefused:
    """The offer can't be answered."""
    return CallRefused(message, status=400, code="invalid_offer")
