"""Any server with OpenAI's chat completions: OpenAI, Groq, Ollama, llama.cpp, …, selected by base URL and key.

Streams text and tool calls as they arrive and translates each failure into our errors. A request that the server refuses is sent
again in the form that the refusal asks for, and after an empty answer it is sent once more. Retries of failures, the time to the
first token and failover are in the guard.
"""

import copy
import re
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Self

import httpx2
import msgspec
import openai
import structlog
from msgspec import UNSET, UnsetType
from openai import AsyncOpenAI, AsyncStream

from agentvoicebox.engine.inputs import Generated, TextDelta, ToolCallDelta
from agentvoicebox.engine.jobs import Generate
from agentvoicebox.errors import BadProviderAnswer, PromptTooLong, ProviderUnavailable
from agentvoicebox.ports.language_model import LifeSign
from agentvoicebox.providers.llm.answer_reader import AnswerReader
from agentvoicebox.providers.llm.chat import ChatShape, chat_messages, chat_tool_choice, chat_tools
from agentvoicebox.providers.llm.failures import is_refusal, translated, words_of
from agentvoicebox.providers.llm.refusals import Asked, ModelTraits, is_too_long, learnt
from agentvoicebox.providers.llm.truncation import Fitted, fitted, is_disabled
from agentvoicebox.settings.language_presets import PRESETS, Preset

_log = structlog.get_logger(__name__)

Delta = TextDelta | ToolCallDelta | Generated | LifeSign

CONNECT_TIMEOUT_S = 3.0
CHECK_TIMEOUT_S = 3.0
KEYLESS = "none"  # the SDK requires a key; Ollama and llama.cpp ignore it
MOST_REFUSALS = 3  # of one request, each followed by another form of it
_THINKERS = re.compile(r"deepseek-r1|qwq|-thinking\b")  # templates of these begin the thought
_FOLDS_SYSTEM = re.compile(r"gemma")
_SINGLE_CALLS = re.compile(r"llama-?3")


class OpenAICompatibleLlm:
    """Implements ports.language_model.ModelServer.

    Args:
        base_url: of the server's API (`http://127.0.0.1:11434/v1`); empty for OpenAI's own.
        api_key: empty where none is needed.
        model: the server's name of it; `with_model` selects another over the same connections.
        read_timeout_s: the longest silence within an answer.
        preset: the kind of server, by its word; empty: by the base URL.
        extra: additional keys of each request; a request's own options come before them.
        context_tokens: the context of the model; 0: not known.
    """

    def __init__(
        self,
        *,
        base_url: str = "",
        api_key: str = "",
        model: str,
        read_timeout_s: float = 30.0,
        preset: str = "",
        extra: Mapping[str, Any] | None = None,
        context_tokens: int = 0,
    ) -> None:
        self._model = model
        # OpenAI's newer models know only the newer name of the limit, other servers often only the older.
        self._preset = PRESETS[preset] if preset else Preset(base_url) if base_url else PRESETS["openai"]
        self._extra = dict(extra or {})
        self._context_tokens = context_tokens
        self._traits = _traits(model, self._preset, context_tokens)
        self._client = AsyncOpenAI(
            base_url=base_url or self._preset.base_url or None,
            api_key=api_key or KEYLESS,
            max_retries=0,
            timeout=httpx2.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S),
        )

    async def generate(self, request: Generate, job_id: str) -> AsyncGenerator[Delta, None]:
        """See ports.language_model.ModelServer.

        Raises:
            PromptTooLong: the server refuses even the shortest prompt of this conversation, or nothing may leave it.
        """
        is_second = False
        while True:
            reader = AnswerReader(job_id, _offered(request), begins_inside=self._traits.begins_inside)
            async with aclosing(self._answer(request, reader)) as answer:
                async for delta in answer:
                    yield delta
            if not reader.is_empty:
                return
            if is_second:
                raise BadProviderAnswer("the language model's answer is empty, twice")
            is_second = True

    async def check(self) -> None:
        """See ports.language_model.Llm: asks the server for its models."""
        try:
            await self._client.models.list(timeout=CHECK_TIMEOUT_S)
        except Exception as error:
            raise translated(error) from error

    def with_model(self, model: str) -> Self:
        """The same server, another model."""
        other = copy.copy(self)
        other._model = model
        other._traits = _traits(model, self._preset, self._context_tokens)
        return other

    async def close(self) -> None:
        """Close connections. Idempotent."""
        await self._client.close()

    async def _answer(self, request: Generate, reader: AnswerReader) -> AsyncGenerator[Delta, None]:
        """One answer to its end; nothing if it is empty."""
        try:
            fit, traits, first, stream = await self._opened(request)
            async with stream:
                for delta in reader.feed(first):
                    yield delta
                async for chunk in stream:
                    for delta in reader.feed(chunk):
                        yield delta
        except Exception as error:
            raise translated(error) from error
        if not reader.is_ended:
            raise ProviderUnavailable("the language model's answer ended early")
        for delta in reader.finish():
            yield delta
        self._note(reader)
        if not reader.is_empty:
            generated = reader.generated(input_tokens=fit.tokens)
            is_blind = not traits.shape.images and any(message.images for message in request.messages)
            yield msgspec.structs.replace(generated, left_out=fit.left_out or UNSET, without_images=is_blind or UNSET)

    async def _opened(self, request: Generate) -> tuple[Fitted, ModelTraits, object, AsyncStream[object]]:
        """Send the request, in another form after each refusal, until it is answered: the stream and its first chunk."""
        traits, refusals = self._traits, 0
        while True:
            fit = self._fitted(request, traits)
            body = self._body(fit.request, traits)
            try:
                return fit, traits, *await self._post(body)
            except openai.APIError as error:
                status = error.status_code if isinstance(error, openai.APIStatusError) else 0
                refusals += 1
                asked = Asked(fit.tokens, request.max_output_tokens or 0, _has_images(body), _has_calls(body))
                known, is_certain = learnt(traits, status, words_of(error), asked)
                if not is_refusal(error, status, is_certain):
                    raise
                is_long = is_too_long(status, words_of(error))
                if is_certain:
                    self._traits = known
                if refusals > 1 and (is_long or not is_certain):
                    known = msgspec.structs.replace(known, prompt_tokens=1)  # as little as possible
                again = self._body(self._fitted(request, known).request, known)
                if again == body or refusals == MOST_REFUSALS or (is_long and is_disabled(request)):
                    if is_long:
                        raise PromptTooLong(_too_long(request)) from error
                    raise
                _log.warning("another form of a request", model=self._model, status=status, **_changes(traits, known))
                traits = known

    async def _post(self, body: dict[str, Any]) -> tuple[object, AsyncStream[object]]:
        stream = await self._client.post(
            "/chat/completions", body=body, cast_to=object, stream=True, stream_cls=AsyncStream[object]
        )
        try:
            return await anext(stream, None), stream
        except BaseException:
            await stream.close()
            raise

    def _fitted(self, request: Generate, traits: ModelTraits) -> Fitted:
        return fitted(request, traits.prompt_tokens, sees_images=traits.shape.images)

    def _note(self, reader: AnswerReader) -> None:
        """Learn from an answer whether the model's template begins its thoughts."""
        if reader.closes_alone or reader.held_in_vain:
            self._traits = msgspec.structs.replace(self._traits, begins_inside=reader.closes_alone)

    def _body(self, request: Generate, traits: ModelTraits) -> dict[str, Any]:
        body: dict[str, Any] = {
            **self._extra,
            **({} if isinstance(request.options, UnsetType) else request.options),
            "model": self._model,
            "messages": chat_messages(request, traits.shape),
            "stream": True,
        }
        if traits.takes_stream_options:
            body["stream_options"] = {"include_usage": True}
        if request.tools:  # an empty list is an error to most servers
            body |= _tools(request, traits)
        if request.max_output_tokens is not None:
            body[traits.limit_name] = request.max_output_tokens
        return body


def _traits(model: str, preset: Preset, context_tokens: int) -> ModelTraits:
    """What is known of a model before its first answer."""
    name = model.lower()
    return ModelTraits(
        shape=ChatShape(system=not _FOLDS_SYSTEM.search(name), parallel_calls=not _SINGLE_CALLS.search(name)),
        prompt_tokens=context_tokens - min(1_024, context_tokens // 4),
        limit_name=preset.limit_name,
        takes_stream_options=preset.takes_stream_options,
        takes_named_tool=preset.takes_named_tool,
        begins_inside=_THINKERS.search(name) is not None,
    )


def _changes(before: ModelTraits, after: ModelTraits) -> dict[str, Any]:
    """What another form of a request has otherwise, for the log: figures and yes or no, no words."""
    old, new = (msgspec.structs.asdict(each) | msgspec.structs.asdict(each.shape) for each in (before, after))
    return {name: value for name, value in new.items() if name != "shape" and value != old[name]}


def _tools(request: Generate, traits: ModelTraits) -> dict[str, Any]:
    tools, choice = request.tools, request.tool_choice
    name = choice.removeprefix("function:")
    if name != choice and not traits.takes_named_tool:
        tools = tuple(tool for tool in tools if tool.name == name) or tools
        choice = "required"
    is_said = choice != "auto" and traits.takes_tool_choice
    return {"tools": chat_tools(tools)} | ({"tool_choice": chat_tool_choice(choice)} if is_said else {})


def _offered(request: Generate) -> list[str]:
    return [] if request.tool_choice == "none" else [tool.name for tool in request.tools]


def _has_images(body: dict[str, Any]) -> bool:
    return any(isinstance(line["content"], list) for line in body["messages"])


def _has_calls(body: dict[str, Any]) -> bool:
    return any(line["role"] == "tool" for line in body["messages"])


def _too_long(request: Generate) -> str:
    if is_disabled(request):
        return "the conversation is longer than the language model's context, and the session's truncation is disabled"
    return (
        "instructions and tools alone are longer than the language model's context; shorten them, or use another model"
    )
