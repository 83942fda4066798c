"""The declaration of an external tool in an agent's file (`[[tools]]`), with its validation.

`http_tool` calls the tool; `addresses` decides whether its address is allowed.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from agentvoicebox.tools.definition import TIMEOUT_S, Definition
from agentvoicebox.tools.schema import fault_of

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
RESERVED_HEADERS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "idempotency-key",
     "x-agentvoicebox-signature"}
)  # fmt: skip

TIMEOUTS_S = (0.1, 30.0)  # after half a minute a caller has hung up
MOST_RETRIES = 5
RESULT_BYTES = 8_192  # about 2,000 tokens
MOST_RESULT_BYTES = 65_536


class ToolDeclaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[tools]]` table. A table with only a name refers to a tool of the server.

    Attributes:
        name: 1 to 64 letters, digits, `_` and `-`.
        description: for the language model: what the tool does, when to call it, what it returns.
        parameters: JSON schema of the arguments, as a table or as JSON text.
        url: the tool's address: https, or http on this machine.
        method: POST, PUT or PATCH; the body is the same.
        headers: sent with each call; `${NAME}` is replaced with an environment variable of the tool worker.
        timeout_s: for one call with all its attempts, 0.1 to 30.
        retries: further attempts after a failure, 0 to 5. Only if nothing can have changed, or the tool is idempotent.
        is_read_only: the tool has no side effects.
        is_idempotent: a repeated call with the same Idempotency-Key has no further effect.
        max_result_bytes: most bytes of an answer, 64 to 65,536; a longer answer is an error.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] | str = {}
    url: str = ""
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: dict[str, str] = {}
    timeout_s: float = TIMEOUT_S
    retries: int = 2
    is_read_only: bool = False
    is_idempotent: bool = False
    max_result_bytes: int = RESULT_BYTES

    def __post_init__(self) -> None:
        """Raises ValueError with the fault."""
        if not NAME.fullmatch(self.name):
            raise ValueError(f"a tool's name has 1 to 64 letters, digits, '_' and '-', not {self.name[:80]!r}")
        if not self.url:
            if self._has_details():
                raise ValueError(f"tool {self.name}: url is missing")
            return
        fault = self._fault()
        if fault is not None:
            raise ValueError(f"tool {self.name}: {fault}")

    @property
    def is_reference(self) -> bool:
        """Whether the table only names a tool of the server."""
        return not self.url

    def definition(self) -> Definition:
        """The tool's definition."""
        return Definition(
            name=self.name,
            description=self.description,
            arguments=_schema(self.parameters),
            is_read_only=self.is_read_only,
            is_idempotent=self.is_idempotent or self.is_read_only,
            timeout_s=self.timeout_s,
        )

    def filled_headers(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """The headers with the environment variables filled in.

        Raises:
            ValueError: a variable is not set, or a value is not valid in a header.
        """
        filled = {}
        for name, value in self.headers.items():
            missing = [each for each in VARIABLE.findall(value) if each not in environment]
            if missing:
                raise ValueError(f"tool {self.name}: {', '.join(missing)} is not set, which its header {name} needs")
            whole = VARIABLE.sub(lambda found: environment[found[1]], value)
            if not (whole.isascii() and whole.isprintable()):
                raise ValueError(f"tool {self.name}: the header {name} contains an invalid character")
            filled[name] = whole
        return filled

    def _has_details(self) -> bool:
        return bool(self.description or self.parameters or self.headers or self.is_read_only or self.is_idempotent)

    def _fault(self) -> str | None:
        try:
            parts = urlsplit(self.url)
            port_is_good = parts.port is None or parts.port > 0
        except ValueError:
            return "the url can't be read"
        if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_good:
            return "the url should start with https:// and name a host"
        if parts.username is not None or parts.fragment:
            return "the url must not contain a user or a fragment; put secrets into headers"
        if not self.description.strip():
            return "description is missing"
        try:
            fault = fault_of(_schema(self.parameters))
        except ValueError:
            fault = "not a JSON object"
        if fault is not None:
            return f"parameters: {fault}"
        shortest, longest = TIMEOUTS_S
        if not shortest <= self.timeout_s <= longest:
            return f"timeout_s should be from {shortest} to {longest}"
        if not 0 <= self.retries <= MOST_RETRIES:
            return f"retries should be from 0 to {MOST_RETRIES}"
        if not 64 <= self.max_result_bytes <= MOST_RESULT_BYTES:
            return f"max_result_bytes should be from 64 to {MOST_RESULT_BYTES}"
        bad = [name for name in self.headers if not HEADER.fullmatch(name) or name.lower() in RESERVED_HEADERS]
        return f"the header {bad[0]!r} can't be set" if bad else None


def _schema(parameters: dict[str, Any] | str) -> dict[str, Any]:
    """Raises ValueError (msgspec's errors are subclasses) if the text is not a JSON object."""
    return msgspec.json.decode(parameters, type=dict[str, Any]) if isinstance(parameters, str) else parameters
