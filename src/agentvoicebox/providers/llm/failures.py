"""Failures of a model's server as our errors, and which of them are refusals of one form of a request."""

import json

import httpx2
import openai

from agentvoicebox.errors import BadProviderAnswer, ProviderError, ProviderTimeout, ProviderUnavailable

MOST_WORDS = 4_096  # characters of a refusal that are read
_BUSY_STATUSES = frozenset({408, 409, 425, 429})
_REFUSALS = frozenset({400, 413, 422})
_TEMPLATE_FAULTS = frozenset({0, 404, 500})  # what a template or a context refuses, too; 0: in the stream


def is_refusal(error: openai.APIError, status: int, is_certain: bool) -> bool:
    """Whether another form of the request may be taken."""
    if isinstance(error, openai.APIConnectionError | openai.APIResponseValidationError):
        return False
    return status in _REFUSALS or (is_certain and status in _TEMPLATE_FAULTS)


def words_of(error: openai.APIError) -> str:
    """All that a server says about its refusal. It may repeat the prompt, so it is neither logged nor passed on."""
    return f"{error.message[:MOST_WORDS]} {str(error.body)[:MOST_WORDS]}"


def translated(error: Exception) -> ProviderError:
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
