"""What stands in a text to be seen, not said: pictures, arrows, links, stage directions, remains of tool calls."""

import re
import unicodedata

_MARKED = re.compile(
    r"<(tool_calls?|function_calls?|think(?:ing)?|thought|reasoning)>.*?(?:</\1>|\Z)|<function=.*?(?:</function>|\Z)|\[TOOL_CALLS\].*",
    re.I | re.S,
)
_OBJECT = re.compile(r'\{\s*"[^"{}]*"\s*:[^{}]*\}')
_OPEN_OBJECT = re.compile(r'\[?\s*\{\s*"[^"]*"\s*:.*', re.S)
_TAG = re.compile(r"</?[a-z][^<>]*>", re.I)
_NAMED_LINK = re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s[^()]*)?\)")
_LINK = re.compile(r"(?:https?://|www\.)\S+?(?=[.,;:!?)\]]*(?:\s|\Z))")
# Only what a speaker does while speaking: other words in parentheses are part of the sentence.
_ACTION = (
    r"(?:\w+ly\s+)?(?:laugh|chuckl|giggl|sigh|smil|grin|smirk|paus|nod|wink|gasp|whisper|cough|sniff|groan|hum|shrug|yawn|wav|"
    r"clear|cheer|applau|breath|inhal|exhal|beep|silence|music)(?:s|es|ing|e|ed|d|)(?:\s+(?:throat|head|softly|again|\w+ly|deeply))*"
)
_STAGE = re.compile(rf"\(\s*{_ACTION}\s*\)|\[\s*{_ACTION}\s*\]|\*+\s*{_ACTION}\s*\*+|(?<!\w)_{_ACTION}_(?!\w)", re.I)
_GONE = "\0"
_GONE_BEFORE_MARK = re.compile(rf"[\s{_GONE}]*{_GONE}[\s{_GONE}]*(?=[.,;:!?…])")
_GONE_BETWEEN = re.compile(rf"[\s{_GONE}]*{_GONE}[\s{_GONE}]*")
_KEPT = frozenset("°©®™℠№℃℉℗♭♮♯")  # symbols with a word of their own
_UNITS = range(0x3300, 0x3400)  # ㎏, ㎞, …
_ARROWS = (range(0x2190, 0x2200), range(0x27F0, 0x2800), range(0x2900, 0x2980), range(0x2B00, 0x2C00))
_JOINERS = frozenset({0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x20E3, *range(0xFE00, 0xFE10), *range(0xE0000, 0xE0200)})
_ASCII = range(0x80)


def said(text: str) -> str:
    """Text without what is only seen; a link is "a link", or its own words."""
    text = _MARKED.sub(" ", text)
    while (shorter := _OBJECT.sub(" ", text)) != text:
        text = shorter
    text = _TAG.sub(" ", _OPEN_OBJECT.sub(" ", text))
    text = _LINK.sub(" a link", _NAMED_LINK.sub(r"\1", text))
    text = "".join(_GONE if _is_picture(character) else character for character in _STAGE.sub(_GONE, text))
    return _GONE_BETWEEN.sub(" ", _GONE_BEFORE_MARK.sub("", text))


def _is_picture(character: str) -> bool:
    code = ord(character)
    if code in _ASCII or character in _KEPT or code in _UNITS:
        return False
    if code in _JOINERS or any(code in arrows for arrows in _ARROWS):
        return True
    return unicodedata.category(character) in ("So", "Sk", "Cs", "Co", "Cn")
