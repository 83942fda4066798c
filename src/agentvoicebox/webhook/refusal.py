"""The error of a refused request: status, reason, and the invalid fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from agentvoicebox.errors import ClientError


class NotAccepted(ClientError):
    """A refused request; becomes an HTTP answer.

    Attributes:
        status: 4xx.
        details: for a 422, one `{type, loc, msg}` for each fault, as in FastAPI; never contains the values.
        headers: additional headers of the answer.
        answer: additional keys of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        details: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.status = status
        self.details = list(details)
        self.headers = dict(headers or {})
        self.answer = dict(answer or {})

    @property
    def body(self) -> dict[str, Any]:
        """The answer's JSON."""
        error = {"code": self.code, "message": self.message, "type": self.error_type}
        return {**({"detail": self.details} if self.details else {}), "error": error, **self.answer}


def unprocessable(kind: str, where: Sequence[str | int], message: str) -> NotAccepted:
    """A 422 with one fault.

    Args:
        kind: error type, with Pydantic's names.
        where: path of the field, beginning with `body`.
        message: for people.
    """
    return NotAccepted(422, "unprocessable", message, details=[{"type": kind, "loc": list(where), "msg": message}])
