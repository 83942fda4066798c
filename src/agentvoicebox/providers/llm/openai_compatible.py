"""Any server with OpenAI's chat completions: OpenAI, Groq, Ollama, llama.cpp, …, selected by base URL and key.

Streams text and tool calls as they arrive and translates each failure into our errors. Retries, the time to the first token and
failover are in the guard.
"""

import copy
import json
from collections.abc import AsyncGenerator
from typing import Any, Self

import httpx2
import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderTimeout, ProviderUnavailable
from agentvoicebox.providers.llm.chat import chat_messages, chat_tool_choice, chat_tools

Delta = TextDelta | ToolCallDelta | Generated

CONNECT_TIMEOUT_S = 3.0
CHECK_TIMEOUT_S = 3.0
KEYLESS = "none"  # the SDK requires a key; Ollama and llama.cpp ignore it
_BUSY_STATUSES = frozenset({408, 409, 425, 429})
_FINISH_REASONS = frozenset({"stop", "tool_calls", "length", "content_filter"})


class OpenAICompatibleLlm:
    """Implements ports.providers.Llm.

    Args:
        base_url: of the server's API (`http://127.0.0.1:11434/v1`); empty for OpenAI's own.
        api_key: empty where none is needed.
        model: the server's name of it; `with_model` selects another over the same connections.
        read_timeout_s: the longest silence within an answer.
    """

    def __init__(self, *, base_url: str = "", api_key: str = "", model: str, read_timeout_s: float = 30.0) -> None:
        self._model = model
        # OpenAI's newer models know only the newer name of the limit, other servers often only the older.
        self._limit_name = "max_tokens" if base_url else "max_completion_tokens"
        self._client = AsyncOpenAI(
            base_url=base_url or None,
            api_key=api_key or KEYLESS,
            max_retries=0,
            timeout=httpx2.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
        )

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.providers.Llm."""
        finish_reason = ""
        usage = (0, 0)
        written = 0
        try:
            stream = await self._client.chat.completions.create(**self._arguments(request))
            async with stream:
                async for chunk in stream:
                    if chunk.usage is not None:
                        usage = (chunk.usage.prompt_tokens or 0, chunk.usage.completion_tokens or 0)
                    for delta in _deltas(chunk, job_id):
                        written += 1
                        yield delta
                    if chunk.choices and chunk.choices[0].finish_reason:
                        finish_reason = chunk.choices[0].finish_reason
        except Exception as error:
            raise _translated(error) from error
        if not finish_reason:
            raise ProviderUnavailable("the language model's answer ended early")
        reason = finish_reason if finish_reason in _FINISH_REASONS else "stop"
        yield Generated(job_id, reason, usage[0], usage[1] or written)

    async def check(self) -> None:
        """See ports.providers.Llm: asks the server for its models."""
        try:
            await self._client.models.list(timeout=CHECK_TIMEOUT_S)
        except Exception as error:
            raise _translated(error) from error

    def with_model(self, model: str) -> Self:
        """The same server, another model."""
        other = copy.copy(self)
        other._model = model
        return other

    async def close(self) -> None:
        """Close connections. Idempotent."""
        await self._client.close()

    def _arguments(self, request: Generate) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "model": self._model,
            "messages": chat_messages(request),
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if request.tools:  # an empty list is an error to most servers
            arguments["tools"] = chat_tools(request.tools)
            if request.tool_choice != "auto":
                arguments["tool_choice"] = chat_tool_choice(request.tool_choice)
        if request.max_output_tokens is not None:
            arguments[self._limit_name] = request.max_output_tokens
        return arguments


def _deltas(chunk: ChatCompletionChunk, job_id: str) -> list[TextDelta | ToolCallDelta]:
    if not chunk.choices:
        return []
    delta = chunk.choices[0].delta
    found: list[TextDelta | ToolCallDelta] = []
    if delta.content:
        found.append(TextDelta(job_id, delta.content))
    for place, call in enumerate(delta.tool_calls or ()):
        index = call.index if call.index is not None else place
        name = call.function.name if call.function else None
        arguments = (call.function.arguments if call.function else None) or ""
        if name or arguments:
            found.append(ToolCallDelta(job_id, index, name or None, arguments))
    return found


def _translated(error: Exception) -> ProviderError:
    """A foreign exception as one of ours. The message contains no word of the conversation."""
    match error:
        case ProviderError():
            return error
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return ProviderTimeout("the language model did not answer in time")
        case openai.APIStatusError() if error.status_code in _BUSY_STATUSES or error.status_code >= 500:
            return ProviderUnavailable(f"the language model's server answers with {error.status_code}")
        case openai.APIStatusError():
            hint = {401: "; is AVB_LLM_API_KEY correct?", 404: "; are AVB_LLM_BASE_URL and AVB_LLM_MODEL correct?"}
            return BadProviderAnswer(
                f"the language model's server refuses with {error.status_code}{hint.get(error.status_code, '')}"
            )
        case openai.APIConnectionError() | httpx2.HTTPError() | OSError():
            return ProviderUnavailable("the language model's server can't be reached; is AVB_LLM_BASE_URL correct?")
        case (
            openai.APIResponseValidationError() | json.JSONDecodeError() | ValueError() | TypeError() | AttributeError()
        ):
            return BadProviderAnswer("the language model's answer is invalid")
        case openai.APIError():  # an `error` object inside the stream
            return ProviderUnavailable("the language model's server ended the answer with an error")
    return BadProviderAnswer(f"the language model failed ({type(error).__name__})")
