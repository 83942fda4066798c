"""One call that every stock client makes: lines of the caller, the rules of the language model, and what must come of it.

The caller asks the agent's name, asks a price (the client's own function knows it), asks for a long story and interrupts it.
"""

from tests.kit.rule_model import Message, Rule, text_of

INSTRUCTIONS = "You are Flora, who answers the telephone of a flower shop."

# Lines without a pause inside: a turn may end in one.
NAME_LINE = "What is your name please?"
PRICE_LINE = "What is the price of a red rose?"
STORY_LINE = "Please tell me a long story."
ENDLESS_LINE = "Please tell me a story that never ends."
STOP_LINE = "Now tell me your name again please."

GREETING_LINE = "Please greet the caller."
GREETING = "Good morning, and welcome."
NAME_REPLY = "My name is Flora, and this is the flower shop."
PRICE = "seven euros"  # what the client's function returns
PRICE_REPLY = "A red rose costs seven euros."
PRICE_TOOL = {
    "type": "function",
    "name": "get_price",
    "description": "The price of a flower.",
    "parameters": {
        "type": "object",
        "properties": {"flower": {"type": "string"}},
        "required": ["flower"],
        "additionalProperties": False,
    },
}
_SENTENCES = (
    "Once upon a time there was a garden behind the old mill.",
    "In it grew roses, and lilies, and a single blue poppy.",
    "Every morning the miller counted them before he went to work.",
    "One day a stranger came and asked for the blue poppy.",
    "The miller said that it was not for sale at any price.",
    "The stranger smiled, and sat down beside the water wheel.",
    "He waited there through the summer and the autumn.",
    "When the first snow fell, the poppy was still in bloom.",
    "Then the miller understood whose flower it really was.",
    "And the two of them became the best of friends.",
)
STORY = " ".join(_SENTENCES)
STORY_END = "the best of friends"

RULES = (
    Rule("seven", PRICE_REPLY, role="tool"),
    Rule("", "The function returned {heard}.", role="tool"),
    Rule("never", STORY, is_endless=True),
    Rule("story", STORY),
    Rule("price|rose|cost", calls=("get_price", {"flower": "red rose"})),
    Rule("greet", GREETING),
    Rule("name", NAME_REPLY),
    Rule("open", calls=("opening_hours", {"day": "Sunday"})),  # of examples/agents
)


def check_cut_story(prompt: list[Message], *, played_ms: int | None = None) -> str:
    """The prompt after the interruption holds the beginning of the story, no more than was played; that beginning.

    Args:
        prompt: of the answer to the line that interrupted.
        played_ms: what the client says it played. A voice speaks some 15 characters a second: at most 30 are believed.
    """
    assert "name" in text_of(prompt[-1]).lower(), prompt[-1]
    told = [text_of(message) for message in prompt if message["role"] == "assistant"]
    [cut] = [line for line in told if line and STORY.startswith(line.rstrip(" .,…—-"))]
    assert STORY_END not in cut, "the model believes that the whole story was heard"
    if played_ms is not None:
        assert len(cut) <= 30 * played_ms / 1000 + 10, f"{len(cut)} characters in {played_ms} ms: {cut!r}"
    return cut
