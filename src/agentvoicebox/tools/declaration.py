"""A tool of somebody else's, as an agent's file declares it (`[[tools]]`), checked as far as a file can be.

Decides what may be written there. How it is called is `http_tool`'s; whether its address may be reached, `addresses`'.
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
OURS = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding", "idempotency-key",
     "x-agentvoicebox-signature"}
)  # fmt: skip

TIMEOUTS_S = (0.1, 30.0)  # beyond half a minute a caller has hung up
MOST_RETRIES = 5
RESULT_BYTES = 8_192  # some 2,000 tokens, which a model still reads at once
MOST_RESULT_BYTES = 65_536


class ToolDeclaration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[tools]]` table. With a name alone it means a tool of the server's own.

    Attributes:
        name: 1 to 64 letters, digits, `_` and `-`.
        description: for the language model: what it does, when to call it, what it returns.
        parameters: JSON schema of the arguments, as a table or as JSON text.
        url: where calls go: https, or http on this machine.
        method: POST, PUT or PATCH; the body is the same.
        headers: sent with each call; `${NAME}` stands for an environment variable of the tool worker.
        timeout_s: for a call, all tries together, 0.1 to 30.
        retries: further tries after a failure, 0 to 5; only when nothing can have been changed, or twice is as good as once.
        is_read_only: it changes nothing.
        is_idempotent: twice is as good as once, given the same Idempotency-Key.
        max_result_bytes: of an answer, 64 to 65,536; a longer one is an error.
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
        """Raises ValueError naming what is wrong."""
        if not NAME.fullmatch(self.name):
            raise ValueError(f"a tool's name has 1 to 64 letters, digits, '_' and '-', not {self.name[:80]!r}")
        if not self.url:
            if self._says_more():
                raise ValueError(f"tool {self.name}: say its url")
            return
        fault = self._fault()
        if fault is not None:
            raise ValueError(f"tool {self.name}: {fault}")

    @property
    def is_reference(self) -> bool:
        """Whether it only names a tool of the server's own."""
        return not self.url

    def definition(self) -> Definition:
        """What is told about it."""
        return Definition(
            name=self.name,
            description=self.description,
            arguments=_schema(self.parameters),
            is_read_only=self.is_read_only,
            is_idempotent=self.is_idempotent or self.is_read_only,
            timeout_s=self.timeout_s,
        )

    def filled_headers(self, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Its headers with the variables filled in.

        Raises:
            ValueError: naming a variable that is not set, or a value that no header can have.
        """
        filled = {}
        for name, value in self.headers.items():
            missing = [each for each in VARIABLE.findall(value) if each not in environment]
            if missing:
                raise ValueError(f"tool {self.name}: {', '.join(missing)} is not set, which its header {name} needs")
            whole = VARIABLE.sub(lambda found: environment[found[1]], value)
            if not (whole.isascii() and whole.isprintable()):
                raise ValueError(f"tool {self.name}: the header {name} holds a character that no header may")
            filled[name] = whole
        return filled

    def _says_more(self) -> bool:
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
            return "the url should hold neither a user nor a fragment; secrets go into headers"
        if not self.description.strip():
            return "say in its description what it does"
        try:
            fault = fault_of(_schema(self.parameters))
        except ValueError:
            fault = "they are no JSON object"
        if fault is not None:
            return f"parameters: {fault}"
        shortest, longest = TIMEOUTS_S
        if not shortest <= self.timeout_s <= longest:
            return f"timeout_s should be from {shortest} to {longest}"
        if not 0 <= self.retries <= MOST_RETRIES:
            return f"retries should be from 0 to {MOST_RETRIES}"
        if not 64 <= self.max_result_bytes <= MOST_RESULT_BYTES:
            return f"max_result_bytes should be from 64 to {MOST_RESULT_BYTES}"
        bad = [name for name in self.headers if not HEADER.fullmatch(name) or name.lower() in OURS]
        return f"the header {bad[0]!r} can't be set" if bad else None


def _schema(parameters: dict[str, Any] | str) -> dict[str, Any]:
    """Raises ValueError (msgspec's is one) when the text is no JSON object."""
    return msgspec.json.decode(parameters, type=dict[str, Any]) if isinstance(parameters, str) else parameters
