"""A real HTTP server that speaks OpenAI's chat completions, streams, and fails in every usual way.

`odd_streams` has the answers of servers that differ from OpenAI's, and `strict_templates` the prompts that they refuse.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from tests.kit.client import until


def chunk(delta: dict[str, Any] | None, finish: str | None = None, usage: dict[str, int] | None = None) -> str:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps(head | {'choices': choices, 'usage': usage})}\n\n"


def call_piece(name: str | None, arguments: str, index: int = 0) -> dict[str, Any]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"tool_calls": [{"index": index, "function": function} | ({"id": "x", "type": "function"} if name else {})]}


def spoken(*words: str) -> list[str]:
    """An answer in so many pieces."""
    usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
    pieces = [chunk({"content": word}) for word in words]
    return [chunk({"role": "assistant", "content": ""}), *pieces, chunk({}, "stop"), chunk(None, usage=usage), DONE]


DONE = "data: [DONE]\n\n"
CALLED = [chunk(call_piece("get_delivery_status", "")), chunk(call_piece(None, '{"tracking_id":')),
          chunk(call_piece(None, '"PKG004"}')), chunk({}, "tool_calls"), DONE]  # fmt: skip


class ChatServer:
    """A chat completions server whose next answers a test sets; it keeps what it was asked.

    Attributes:
        faults: one for each of the next requests: a status, or what happens to the stream after its second part.
        scripts: the next answers, each the pieces of its stream; beyond them the usual one.
        refuses: reads each request; the status and body with which it is refused, or None.
        delay_s: how long each answer's first part takes.
        trouble: the fault of every request beyond these; `hang` answers nothing at all. Words after a colon are part of
            whatever the server says about its fault.
    """

    def __init__(self, *words: str) -> None:
        """It always says these words, a piece each."""
        self._spoken = spoken(*(words or ("It is ", "here.")))
        self.trouble = ""
        self.delay_s = 0.0
        self.is_closing = asyncio.Event()
        self.port = 0
        self.close: Callable[[], Awaitable[None]]
        self.app = FastAPI()
        self.asked: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.scripts: list[Sequence[str]] = []
        self.refuses: Callable[[dict[str, Any]], tuple[int, dict[str, Any]] | None] = lambda body: None
        self.refused = 0
        self.left = asyncio.Event()
        self.url = ""
        self.app.post("/v1/chat/completions")(self.complete)
        self.app.get("/v1/models")(self.models)

    async def _fault(self) -> str:
        fault = self.faults.pop(0) if self.faults else self.trouble
        if fault == "hang":
            await self.is_closing.wait()
            return "503"
        return fault

    async def models(self) -> Any:
        fault, _, words = (await self._fault()).partition(": ")
        if fault:
            return JSONResponse({"error": {"message": words}}, int(fault) if fault.isdigit() else 200)
        return {"object": "list", "data": []}

    async def complete(self, request: Request) -> Response:
        body = await request.json()
        self.asked.append(body)
        fault, _, words = (await self._fault()).partition(": ")
        if fault.isdigit():
            return JSONResponse({"error": {"message": words, "type": "x"}}, int(fault))
        refusal = self.refuses(body)
        if refusal is not None:
            self.refused += 1
            return JSONResponse(refusal[1], refusal[0])
        if self.scripts:
            return StreamingResponse(self.stream(self.scripts.pop(0), fault, words), media_type="text/event-stream")
        parts = CALLED if body.get("tools") else self._spoken
        return StreamingResponse(self.stream(parts, fault, words), media_type="text/event-stream")

    async def stream(self, parts: Sequence[str], fault: str, words: str) -> AsyncIterator[str]:
        try:
            await asyncio.sleep(self.delay_s)
            for place, part in enumerate(parts):
                match fault, place:
                    case "ends at once", 0:
                        return
                    case "cut", 2:
                        raise ConnectionResetError
                    case "ends early", 2:
                        return
                    case "garbage", 2:
                        yield f"data: {{not json {words}\n\n"
                    case "error inside", 2:
                        yield f'data: {{"error": {{"message": "overloaded {words}"}}}}\n\n'
                    case "silent", 2:
                        await self.is_closing.wait()
                yield part
        finally:
            self.left.set()


class NoSignals(uvicorn.Server):
    def capture_signals(self) -> Any:  # the test runner keeps its own
        return contextlib.nullcontext()


@asynccontextmanager
async def chat_server(*words: str, port: int = 0) -> AsyncIterator[ChatServer]:
    """One that says these words, on a free port or on this one."""
    made = ChatServer(*words)
    config = uvicorn.Config(
        made.app, host="127.0.0.1", port=port, log_level="critical", lifespan="off", timeout_graceful_shutdown=1
    )
    running = NoSignals(config)
    serving = asyncio.create_task(running.serve())

    async def is_started() -> bool:
        return running.started

    await until(is_started)
    made.port = running.servers[0].sockets[0].getsockname()[1]
    made.url = f"http://127.0.0.1:{made.port}/v1"

    async def close() -> None:
        made.is_closing.set()
        running.should_exit = True
        await serving

    made.close = close
    try:
        yield made
    finally:
        await close()
