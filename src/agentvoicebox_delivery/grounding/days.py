"""Days in spoken form ("next Tuesday", "the twenty-fourth of November", "in two days"), compared with a given day.

A mention is not converted to a date; the question is whether it can only mean a given one: "Tuesday" for nine days ahead, or
"next Tuesday" on a Monday, are ambiguous and match nothing. Hours are not handled.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta

import msgspec

from agentvoicebox_delivery.grounding.words import cardinal, ordinal
from agentvoicebox_delivery.numbers.calendar_names import MONTHS, WEEKDAYS

WEEK = 7
SEASON = 180  # days; a month and a day without a year mean the nearest one
UNNAMED_MONTH = 15  # days; "the twenty-fourth" alone means a near one

_WEEKDAYS = tuple(name.lower() for name in WEEKDAYS)
_MONTHS = tuple(name.lower() for name in MONTHS)
_RELATIVE = {"the day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1, "the day after tomorrow": 2}
_NUMBERS = {cardinal(number): number for number in range(1, 21)} | {str(number): number for number in range(1, 21)}
_ORDINALS = {ordinal(number).replace("-", " "): number for number in range(1, 32)}


def _any(names: Sequence[str] | dict[str, int]) -> str:
    return "|".join(sorted(names, key=len, reverse=True))


_DAY = rf"(?:{_any(_ORDINALS)}|[0-3]?\d(?:st|nd|rd|th)?)"
_HOURS = {"morning": (3, 12), "afternoon": (12, 18), "evening": (17, 24)}
_TIME = r"(?: (?P<time{}>morning|afternoon|evening))?"
_PART = re.compile(
    rf"(?:(?P<side>earlier|later) )?(?P<relative>{_any(_RELATIVE)}){_TIME.format('')}"
    r"|(?:(?P<side2>earlier|early|late) )?this (?P<time2>morning|afternoon|evening)"
    rf"|in (?P<ahead>{_any(_NUMBERS)}) days?(?: time)?|(?P<ahead2>{_any(_NUMBERS)}) days? from now"
    rf"|(?P<ago>{_any(_NUMBERS)}) days? ago"
    rf"|(?:(?P<which>this|next|last|this past|this coming) )?(?P<weekday>{_any(_WEEKDAYS)}){_TIME.format(3)}"
    rf"|(?P<month>{_any(_MONTHS)}) (?:the )?(?P<day>{_DAY})"
    rf"|(?:the )?(?P<day2>{_DAY})(?: day)? (?:of )?(?P<month2>{_any(_MONTHS)})"
    rf"|the (?P<alone>{_any(_ORDINALS)}|[0-3]?\d(?:st|nd|rd|th))"
    r"|(?P<year>20\d\d)"
)
_GLUE = re.compile(r"(?: ,)?(?: (?:which is|which was|that is|so|on))? ")
_BEFORE_ALONE = re.compile(r"(?:^|.* )(?:on|by|for|is|of)$")


class Mention(msgspec.Struct, frozen=True):
    """A spoken day: `parts` that must all fit it, and `end`, its end in the text."""

    parts: tuple[dict[str, str], ...]
    end: int

    @property
    def hours(self) -> tuple[int, int] | None:
        """The hours of the time of day in it ("this morning": 3 to 12); None when it names none."""
        named = [part[name] for part in self.parts for name in ("time", "time2", "time3") if name in part]
        return _HOURS[named[0]] if named else None

    @property
    def side(self) -> str:
        """`earlier` or `later` of a day, or ""."""
        return next((part[name] for part in self.parts for name in ("side", "side2") if name in part), "")

    def can_only_be(self, day: date, today: date) -> bool:
        """Whether it means `day`, said on `today`, and no other day."""
        names = {name for part in self.parts for name in part}
        is_pinned = bool(names & {"month", "month2", "relative", "ahead", "ahead2", "ago", "time2"})
        return all(_fits(part, day, today, is_pinned=is_pinned) for part in self.parts)


def mention_at(text: str, start: int) -> Mention | None:
    """The day mentioned at a position of a text of lower-case words with single spaces; None for none."""
    parts: list[dict[str, str]] = []
    at = end = start
    while match := _PART.match(text, at):
        if match.end() < len(text) and text[match.end()] != " ":
            break
        named = {name: value for name, value in match.groupdict().items() if value}
        if not parts and ("year" in named or ("alone" in named and not _BEFORE_ALONE.match(text[:start].rstrip()))):
            break
        parts.append(named)
        end = match.end()
        glue = _GLUE.match(text, end)
        if glue is None:
            break
        at = glue.end()
    return Mention(tuple(parts), end) if parts else None


def _number(day: str) -> int:
    return _ORDINALS.get(day) or int(re.sub(r"\D", "", day))


def _fits(part: dict[str, str], day: date, today: date, *, is_pinned: bool) -> bool:
    away = (day - today).days
    match part:
        case {"relative": name}:
            return away == _RELATIVE[name]
        case {"time2": _}:
            return away == 0
        case {"ahead": count} | {"ahead2": count}:
            return away == _NUMBERS[count]
        case {"ago": count}:
            return away == -_NUMBERS[count]
        case {"weekday": name}:
            return day.weekday() == _WEEKDAYS.index(name) and _is_that_week(
                part.get("which", ""), day, today, is_pinned
            )
        case {"month": month, "day": number} | {"month2": month, "day2": number}:
            return (day.month, day.day) == (_MONTHS.index(month) + 1, _number(number)) and abs(away) < SEASON
        case {"alone": number}:
            return day.day == _number(number) and (is_pinned or abs(away) <= UNNAMED_MONTH)
        case {"year": year}:
            return day.year == int(year)
    return False


def _is_that_week(which: str, day: date, today: date, is_pinned: bool) -> bool:
    """Whether "this", "next", "last" or nothing before a weekday can only mean the week of `day`."""
    monday = today - timedelta(days=today.weekday())
    week = (day - monday).days // WEEK
    away = (day - today).days
    match which:
        case "next":  # the one that comes next, and the one of next week: only where they are the same
            return week == 1 and 0 < away <= WEEK - 1
        case "last":
            return week == -1 and -WEEK < away < 0
    return is_pinned or abs(away) < WEEK
