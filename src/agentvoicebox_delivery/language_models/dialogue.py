"""The deterministic delivery agent as an Llm: needs no model, no key and no network.

`dialogue.moves` decides what to say; this file streams it like the answer of any other language model.
"""

import re
from collections.abc import AsyncGenerator

import msgspec

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate, ToolSpec
from agentvoicebox_delivery.dialogue import line_tools
from agentvoicebox_delivery.dialogue.moves import Say, ToolRequest, next_move

Delta = TextDelta | ToolCallDelta | Generated

CHARACTERS_A_TOKEN = 4  # OpenAI's rule of thumb for English; only an estimate is possible here
_WORD = re.compile(r"\s*\S+")


class DialogueLlm:
    """Implements ports.providers.Llm. Stateless; the same request always gives the same stream."""

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.providers.Llm. Text comes word by word, a tool call in one piece; a last line has both. Raises nothing."""
        read = sum(len(message.text) for message in request.messages) // CHARACTERS_A_TOKEN
        tools = offered_tools(request)
        move = next_move(request.messages, tools)
        match move:
            case ToolRequest(name, arguments):
                written = msgspec.json.encode(arguments).decode()
                yield ToolCallDelta(job_id, 0, name, written)
                yield Generated(job_id, "tool_calls", read, len(written) // CHARACTERS_A_TOKEN + 1)
            case Say(text):
                words = _WORD.findall(text)
                limit = request.max_output_tokens
                said = words if limit is None else words[: max(0, limit)]
                for word in said:
                    yield TextDelta(job_id, word)
                is_whole = len(said) == len(words)
                if is_whole and (name := line_tools.due_with(text, tools)):
                    yield ToolCallDelta(job_id, 0, name, "{}")
                    yield Generated(job_id, "tool_calls", read, len(said) + 1)
                else:
                    yield Generated(job_id, "stop" if is_whole else "length", read, len(said))

    async def check(self) -> None:
        """Does nothing: this model can always answer."""


def offered_tools(request: Generate) -> tuple[ToolSpec, ...]:
    """The tools that `tool_choice` allows."""
    if request.tool_choice == "none":
        return ()
    if request.tool_choice.startswith("function:"):
        name = request.tool_choice.removeprefix("function:")
        return tuple(tool for tool in request.tools if tool.name == name)
    return request.tools
