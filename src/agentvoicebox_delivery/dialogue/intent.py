"""The intents of a caller's line, apart from the number in it: yes, no, again, goodbye and the like.

Key phrases only, so that the same line always has the same intents. What follows from an intent is decided in `caller_line`.
"""

import re
from enum import Flag, auto

from agentvoicebox_delivery.numbers import lexicon
from agentvoicebox_delivery.numbers.tokens import clean, words


class Intent(Flag):
    """An intent; a line may have several ("no thanks, bye")."""

    NONE = 0
    YES = auto()
    NO = auto()
    REPEAT = auto()
    BYE = auto()
    THANKS = auto()
    HUMAN = auto()
    HOLD = auto()
    NO_NUMBER = auto()
    FIND_NUMBER = auto()
    NEED = auto()
    GREETING = auto()
    COMPLETE = auto()
    RETRY = auto()
    WHEN = auto()
    WHERE = auto()
    WHO = auto()


_PHRASES: dict[Intent, str] = {
    Intent.YES: r"^(?:(?:oh|um|uh|er|well) )*(?:yes|yeah|yep|yup|ya|correct|right|exactly|sure|of course|absolutely|mhm"
    r"|uh huh|it is|ok|okay|fine|please do|go ahead)\b|\b(?:that's|that is|is) (?:right|correct|it|the one|mine)\b",
    Intent.NO: r"\b(?:no|nope|nah|wrong|incorrect|neither|none)\b|\b(?:not|isn't) (?:right|correct|it|mine|that)\b",
    Intent.REPEAT: r"\b(?:repeat|come again|once more|say (?:that|it|this) again|again,? please|what did you say|what was that"
    r"|(?:didn't|did not|couldn't) (?:catch|hear|get|understand))|^(?:sorry|pardon|what|pardon me|excuse me|huh)\?*$",
    Intent.BYE: r"\b(?:bye|goodbye|good night|that's all|that is all|that's it|that is it|nothing else|no thanks|no thank you"
    r"|that'll be all|i'm done|i am done|hang up|cheerio|have a (?:nice|good))\b",
    Intent.THANKS: r"\b(?:thanks|thank you|thank|cheers|ta|great|perfect|brilliant|lovely)\b",
    Intent.HUMAN: r"\b(?:human|operator|representative|supervisor|manager|real person|a person|somebody|someone"
    r"|customer service|(?:speak|talk) (?:to|with)|an agent|put me through)\b",
    Intent.HOLD: r"\b(?:hold on|hang on|one (?:moment|second|sec|minute)|just a (?:moment|second|sec|minute|tick)|a moment"
    r"|give me a|let me (?:look|find|check|see|get|grab|think)|wait a|where did i put|bear with me)\b|^wait\W*$",
    Intent.NO_NUMBER: r"\b(?:don't|do not|haven't|have not|didn't|never) (?:have|got|know|get|remember)\b"
    r"|\b(?:lost|forgot|can't find|cannot find|no idea|without|have no|got no)\b|\bno (?:tracking )?number\b",
    Intent.FIND_NUMBER: r"\b(?:where|how) (?:do|can|would|should|could) i (?:find|get|see|look)"
    r"|\bwhat(?:'s| is) a tracking number|\bwhere is (?:the|that|my) (?:tracking )?number|\bwhich number\b|\bwhat number\b",
    Intent.NEED: r"\b(?:parcel|package|packet|delivery|delivered|order|ordered|shipment|shipping|track|tracking|box|letter)\b",
    Intent.GREETING: r"^(?:hello|hi|hey|hiya|good (?:morning|afternoon|evening|day)|greetings|is anybody there|are you there)\b",
    Intent.COMPLETE: r"\b(?:that's|that is|that was) (?:all|it|the whole|everything|the end|the number)\b"
    r"|\b(?:nothing|no) more\b|\bthe whole (?:number|thing)\b",
    Intent.RETRY: r"\b(?:try|check|look|search) (?:(?:it|that|up) )?(?:again|once more|now)\b|\bretry\b",
    Intent.WHEN: r"\b(?:when|what day|which day|how long|what time|arrive|today|tomorrow)\b",
    Intent.WHERE: r"\b(?:where|location|which (?:town|city|depot))\b",
    Intent.WHO: r"\b(?:who|which carrier|what carrier|which company|courier)\b",
}  # fmt: skip

_COMPILED = {intent: re.compile(pattern) for intent, pattern in _PHRASES.items()}


def intents(text: str) -> Intent:
    """All intents of a line."""
    line = " ".join(clean(text).lower().split())
    bare = re.sub(r"[,.;!]", "", line).strip()
    found = Intent.NONE
    for intent, pattern in _COMPILED.items():
        if pattern.search(bare):
            found |= intent
    return found


def word_count(text: str) -> int:
    """Words that are more than noise ("uh", "well")."""
    return sum(word.low not in lexicon.SKIPPED and len(word.low) > 1 for word in words(clean(text)))
