"""Tool calls that a model writes into its text, as its template has them where the server does not read them.

They become calls when they name an offered tool. Otherwise what is marked as a call is dropped, since it is no text for a
caller, and other JSON stays text.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from agentvoicebox.providers.llm.json_text import JsonScanner, json_value, json_values
from agentvoicebox.providers.llm.tag_text import TagFinder, unless_tag

MAX_CALLS = 128  # of one answer; further ones are dropped
MAX_HELD = 64 * 1024  # characters of text that may be a call; beyond it, a marked one is dropped and another is text
_UNTIL_THE_END = ""
_MARKS = {
    "<tool_call>": "</tool_call>",
    "<tool_calls>": "</tool_calls>",
    "<function_call>": "</function_call>",
    "<function_calls>": "</function_calls>",
    "<|tool_call|>": "<|/tool_call|>",
    "<|tool_call_begin|>": "<|tool_call_end|>",
    "<|tool_calls_section_begin|>": "<|tool_calls_section_end|>",
    "<function=": "</function>",
    "<|python_tag|>": _UNTIL_THE_END,
    "[tool_calls]": _UNTIL_THE_END,
}
_OPENING = TagFinder({*_MARKS, "</tool_call>", "</function>"})
_CLOSING = {close: TagFinder({close}) for close in _MARKS.values() if close}
_OBJECT = re.compile(r"(?P<fence>```\w*\s*)?\{|(?P<list>\A\s*\[)(?=\s*\{)")
_OBJECT_BEGUN = re.compile(r"(?:```\w*\s*|`{1,2}|(?P<list>\A\s*\[\s*))\Z")
_FENCE_END = re.compile(r"\s*```")
_FUNCTION = re.compile(r"<function=([^>\s]+)>?(.*?)(?:</function>|\Z)", re.S)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>(.*?)</parameter>", re.S)
_KEYED = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.S)
_NAME = re.compile(r"[\w.:-]+")


class WrittenCall(msgspec.Struct, frozen=True):
    """A call in text. `arguments` is a JSON object."""

    name: str
    arguments: str


class WrittenCallFilter:
    """Filters one answer.

    Args:
        offered: names of the tools that may be called.

    Attributes:
        calls: found so far, in their order.
    """

    def __init__(self, offered: Collection[str]) -> None:
        self._offered = frozenset(offered)
        self._rest = ""  # may be the beginning of a mark
        self._mark = ""  # of the call that is being read
        self._body = ""
        self._scanner: JsonScanner | None = None  # of an object without a mark
        self._fence = ""  # before this object
        self._is_fresh = True  # nothing but blanks so far
        self.calls: list[WrittenCall] = []

    def feed(self, text: str) -> str:
        """What of the text so far is no call."""
        text, self._rest = self._rest + text, ""
        plain: list[str] = []
        while text:
            if self._fence and self._scanner is None:  # its call was taken
                text = self._skip_fence(text)
            elif self._scanner is not None:
                text = self._read_object(text, self._scanner, plain)
            elif self._mark:
                text = self._read_marked(text)
            else:
                text = self._read_plain(text, plain)
        if any(each.strip() for each in plain):
            self._is_fresh = False
        return "".join(plain)

    def flush(self) -> str:
        """The end of the answer: an open call is read as far as it goes."""
        body, self._body, rest, self._rest = self._body, "", self._rest, ""
        if self._mark:
            self._take(body + rest)
            return ""
        if self._scanner is not None:
            self._scanner = None
            return _without_marks(self._fence + body)
        return "" if self._fence else unless_tag(rest)

    def _read_plain(self, text: str, plain: list[str]) -> str:
        """Read up to the next beginning of a call, and return the rest."""
        is_fresh = self._is_fresh and not any(each.strip() for each in plain)
        found = _OPENING.find(text)
        until = len(text) if found is None else found[0]
        if self._offered and (begun := _object_in(_OBJECT, text[:until], is_fresh)):
            plain.append(text[: begun.start()])
            self._scanner, self._body, self._fence = JsonScanner(), "", begun.group("fence") or ""
            return text[begun.start() + len(self._fence) :]
        if found is not None:
            plain.append(text[:until])
            self._mark = found[2] if found[2] in _MARKS else ""  # else a closing mark alone
            self._body = text[until : found[1]] if self._mark == "<function=" else ""
            return text[found[1] :]
        cut = len(text) - _OPENING.begun(text)
        if self._offered and (partial := _object_in(_OBJECT_BEGUN, text[:cut], is_fresh)):
            cut = partial.start()
        plain.append(text[:cut])
        self._rest = text[cut:]
        return ""

    def _read_object(self, text: str, scanner: JsonScanner, plain: list[str]) -> str:
        """Read JSON without a mark: text, unless it is a call."""
        used = scanner.feed(text)
        self._body += text[:used]
        text = text[used:]
        if not scanner.is_ended and len(self._body) <= MAX_HELD:
            return text
        body, self._body, self._scanner = self._body, "", None
        if not scanner.is_ended or not self._take(body):
            plain.append(_without_marks(self._fence + body))
            self._fence = ""
        return text

    def _skip_fence(self, text: str) -> str:
        closing = _FENCE_END.match(text)
        if closing is None and not text.strip().strip("`"):
            self._rest = text  # may be the beginning of one
            return ""
        self._fence = ""
        return text[closing.end() :] if closing else text

    def _read_marked(self, text: str) -> str:
        close = _MARKS[self._mark]
        finder = _CLOSING.get(close)
        since = max(0, len(self._body) - len(close))  # the mark may have begun before this piece
        joined = self._body + text
        found = None if finder is None else finder.find(joined[since:])
        if found is None:
            self._body = joined[:MAX_HELD]
            return ""
        self._take(joined[: since + found[0]])
        self._mark, self._body = "", ""
        return joined[since + found[1] :]

    def _take(self, body: str) -> bool:
        """Read the calls of a text; whether there is one to an offered tool."""
        known = [call for written in written_calls(body) if (call := self._known(written))]
        self.calls = [*self.calls, *known][:MAX_CALLS]
        return bool(known)

    def _known(self, call: WrittenCall) -> WrittenCall | None:
        for name in (call.name, call.name.rpartition(".")[2], call.name.partition(":")[0]):
            if name in self._offered:
                return WrittenCall(name, call.arguments)
        return None


def _object_in(pattern: re.Pattern[str], text: str, is_fresh: bool) -> re.Match[str] | None:
    """Where an object may begin; a list only counts at the beginning of an answer."""
    return next((found for found in pattern.finditer(text) if is_fresh or not found.group("list")), None)


def _without_marks(text: str) -> str:
    """Text that looked like an object and is no call, without marked calls in it."""
    marked = WrittenCallFilter(())
    return marked.feed(text) + marked.flush()


def written_calls(body: str) -> Iterator[WrittenCall]:
    """The calls in a text, in every form that templates have: JSON, or a name with JSON or tags behind it."""
    functions = _FUNCTION.findall(body)
    for name, inside in functions:
        yield WrittenCall(name, _tagged(_PARAMETER, inside) or _first_object(inside))
    if functions:
        return
    if keyed := _tagged(_KEYED, body):
        if name := _NAME.match(body.lstrip()):
            yield WrittenCall(name.group(), keyed)
        return
    for before, value in json_values(body):
        names = _NAME.findall(re.sub(r"\[\w+\]|<\|\w+\|>|```\w*", " ", before))
        if isinstance(value, dict) and not _call_of(value) and names:
            name = next((each for each in reversed(names) if not each.isdigit()), "")
            yield WrittenCall(name, json.dumps(value))
            continue
        for each in value if isinstance(value, list) else (value,):
            if isinstance(each, dict) and (call := _call_of(each)):
                yield call


def _call_of(value: dict[str, Any]) -> WrittenCall | None:
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = next(
        (value[key] for key in ("name", "function", "tool", "tool_name") if isinstance(value.get(key), str)), ""
    )
    if not name:
        return None
    keys = ("arguments", "parameters", "args", "input", "tool_input")
    given: Any = next((value[key] for key in keys if key in value), {})
    if isinstance(given, str):
        given = json_value(given)
    return WrittenCall(name, json.dumps(given if isinstance(given, dict) else {}))


def _tagged(pattern: re.Pattern[str], text: str) -> str:
    """Arguments between tags as a JSON object; values that are JSON count as such, others as text. Empty: there are none."""
    found = pattern.findall(text)
    values = {key.strip(): _value(value.strip()) for key, value in found}
    return json.dumps(values) if found else ""


def _value(text: str) -> Any:
    value = json_value(text)
    return text if value is None and text != "null" else value


def _first_object(text: str) -> str:
    return next((json.dumps(value) for _, value in json_values(text) if isinstance(value, dict)), "{}")
