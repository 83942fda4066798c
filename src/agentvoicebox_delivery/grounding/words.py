"""Numbers, dates and time spans in spoken English words, so that all voices say them alike."""

from datetime import date, datetime

from agentvoicebox_delivery.numbers.calendar_names import MONTHS, WEEKDAYS

_ONES = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
WEEK = 7
_NEAR = {-1: "yesterday", 0: "today", 1: "tomorrow"}
_TENS = ("zero", "ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def cardinal(number: int) -> str:
    """0 to 99 in words ("forty-two"); anything else in figures."""
    if not 0 <= number < 100:
        return str(number)
    if number < 20:
        return _ONES[number]
    tens, ones = divmod(number, 10)
    return _TENS[tens] + (f"-{_ONES[ones]}" if ones else "")


def ordinal(number: int) -> str:
    """1 to 99 in words ("twenty-fourth")."""
    head, dash, tail = cardinal(number).rpartition("-")
    regular = tail[:-1] + "ieth" if tail.endswith("y") else tail + "th"
    return head + dash + _ORDINALS.get(tail, regular)


def spoken_date(day: date) -> str:
    """As "Tuesday, November twenty-fourth". The year is left out: parcels are not in transit that long."""
    return f"{WEEKDAYS[day.weekday()]}, {MONTHS[day.month - 1]} {ordinal(day.day)}"


def spoken_day(day: date | datetime, today: date | None) -> str:
    """A day as an adverb, said on `today`: "today", "tomorrow", "yesterday", "on Tuesday" (less than a week away), or the date.

    The hour of a moment is left out, since the time zone of a stored time is rarely known. None: the date is always said.
    """
    day = day.date() if isinstance(day, datetime) else day
    away = (day - today).days if today else WEEK
    if away in _NEAR:
        return _NEAR[away]
    return f"on {WEEKDAYS[day.weekday()]}" if abs(away) < WEEK else f"on {spoken_date(day)}"


def spoken_age(age_s: float) -> str:
    """How long ago, roughly: "less than a minute", "about five minutes", "about two hours", "about three days"."""
    for unit_s, one, many in ((86_400, "a day", "days"), (3_600, "an hour", "hours"), (60, "a minute", "minutes")):
        if age_s >= unit_s:
            count = round(age_s / unit_s)
            return f"about {one}" if count == 1 else f"about {cardinal(count)} {many}"
    return "less than a minute"
