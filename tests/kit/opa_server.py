"""A server that speaks OPA's Data API over real HTTP, with the rules of a folder in the Rego engine behind it.

No OPA binary is to be had from the package registries; this stands in for it: `POST /v1/data/<path>` with `{"input": …}`, `{}`
for a path that has no value, provenance with bundle revisions when asked for it, bearer tokens, and errors as OPA words them.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from regorus import Engine

from agentvoicebox.policy.bundle import shipped_rules

Answer = tuple[int, bytes]


class OpaServer:
    """What it is asked and how it answers.

    Attributes:
        asked: the inputs, in order.
        token: if set, the one that is let in.
        instead: a scripted answer (status, body) in the place of a decision.
        is_silent: take questions and never answer.
        revision: of its bundle; None: it has no bundles, and tells no provenance of them.
    """

    def __init__(self, folder: Path) -> None:
        self.asked: list[dict[str, Any]] = []
        self.token = ""
        self.instead: Answer | None = None
        self.is_silent = False
        self.revision: str | None = None
        self.url = ""
        self._engine = Engine()
        for path in sorted(folder.rglob("*.rego")):
            self._engine.add_policy(path.name, path.read_text())

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, as many requests as it sends."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                if self.is_silent:
                    await reader.read()  # until the other side hangs up
                    return
                status, answer = self._answer(head[0], headers, body)
                writer.write(
                    f"HTTP/1.1 {status} .\r\ncontent-type: application/json\r\ncontent-length: {len(answer)}\r\n\r\n".encode()
                    + answer
                )
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _answer(self, request: str, headers: dict[str, str], body: bytes) -> Answer:
        method, target, _ = request.split(" ")
        path, _, query = target.partition("?")
        if self.token and headers.get("authorization") != f"Bearer {self.token}":
            return 401, b'{"code": "unauthorized", "message": "request rejected by administrative policy"}'
        if method != "POST" or not path.startswith("/v1/data/"):
            return 404, b'{"code": "resource_not_found", "message": "storage_not_found_error"}'
        asked = json.loads(body)["input"]
        self.asked.append(asked)
        if self.instead is not None:
            return self.instead
        self._engine.set_input_json(json.dumps(asked))
        rule = "data." + path.removeprefix("/v1/data/").replace("/", ".")
        told: dict[str, Any] = {}
        expressions = json.loads(self._engine.eval_query_as_json(rule)).get("result", [])
        if expressions:
            told["result"] = expressions[0]["expressions"][0]["value"]
        if "provenance=true" in query:
            bundles = {} if self.revision is None else {"bundles": {"access": {"revision": self.revision}}}
            told["provenance"] = {"version": "1.10.0", **bundles}
        return 200, json.dumps(told).encode()


@asynccontextmanager
async def opa_server(folder: Path | None = None) -> AsyncIterator[OpaServer]:
    """Run one on a free port; without a folder it has the rules that are shipped."""
    opa = OpaServer(folder or shipped_rules())
    server = await asyncio.start_server(opa.serve, "127.0.0.1", 0)
    opa.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield opa
    finally:
        server.close()
        await server.wait_closed()
