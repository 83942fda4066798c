"""A language model server whose answers follow rules, so that a test scripts a whole call: what the caller said last decides.

It speaks OpenAI's chat completions over real HTTP, streams words one by one, and keeps every prompt that it was sent.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from agentvoicebox.http_server.serving import serving

Message = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """One answer.

    Attributes:
        heard: a regular expression that is looked for in the last line, in lower case.
        says: the answer; `{heard}` stands for the last line.
        role: of the last line: `user`, or `tool` for what a function returned.
        calls: name and arguments of a function to call instead.
        is_endless: after these words the model thinks about the next one for ever, so the answer can only be cancelled.
    """

    heard: str
    says: str = ""
    role: str = "user"
    calls: tuple[str, dict[str, Any]] | None = None
    is_endless: bool = False


class RuleModel:
    """The server.

    Attributes:
        prompts: the `messages` of each request, in order.
        requests: whole bodies, in order.
        url: for `AVB_LLM_BASE_URL`.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.requests: list[dict[str, Any]] = []
        self.url = ""
        self.is_closing = asyncio.Event()
        self._rules = tuple(rules)
        self.app = FastAPI()
        self.app.post("/v1/chat/completions")(self._complete)

    @property
    def prompts(self) -> list[list[Message]]:
        """What the model was given to read."""
        return [request["messages"] for request in self.requests]

    async def _complete(self, request: Request) -> StreamingResponse:
        body = await request.json()
        self.requests.append(body)
        return StreamingResponse(self._streamed(self._answer(body["messages"])), media_type="text/event-stream")

    def _answer(self, messages: list[Message]) -> Rule:
        last = messages[-1]
        line = text_of(last)
        for rule in self._rules:
            if rule.role == last["role"] and re.search(rule.heard, line.lower()):
                return replace(rule, says=rule.says.replace("{heard}", line))
        return Rule("", f"I have no rule for the {last['role']} line: {line}")

    async def _streamed(self, rule: Rule) -> AsyncIterator[str]:
        if rule.calls is not None:
            name, arguments = rule.calls
            function = {"name": name, "arguments": json.dumps(arguments)}
            call = {"index": 0, "id": "call_of_the_model", "type": "function", "function": function}
            yield _chunk({"role": "assistant", "tool_calls": [call]})
            yield _chunk({}, "tool_calls")
        else:
            for word in re.findall(r"\S+\s*", rule.says):
                yield _chunk({"content": word})
            if rule.is_endless:
                await self.is_closing.wait()
            yield _chunk({}, "stop")
        yield "data: [DONE]\n\n"


def text_of(message: Message) -> str:
    """The words of a message, whether its content is a string, parts or nothing."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return " ".join(part.get("text", "") for part in content)


def _chunk(delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "rules"}
    return f"data: {json.dumps(head | {'choices': [choice]})}\n\n"


@asynccontextmanager
async def rule_model(rules: Sequence[Rule]) -> AsyncIterator[RuleModel]:
    """A running one, on a free port of loopback."""
    model = RuleModel(rules)
    async with serving(model.app, host="127.0.0.1", port=0, drain_s=1.0, setting="the rule model's port") as port:
        model.url = f"http://127.0.0.1:{port}/v1"
        try:
            yield model
        finally:
            model.is_closing.set()
