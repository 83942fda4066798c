from datetime import date, timedelta

import pytest

from agentvoicebox_delivery.grounding.days import mention_at
from agentvoicebox_delivery.grounding.words import spoken_date

SUNDAY = date(2026, 11, 22)
MONDAY = date(2026, 11, 23)


def only(said: str, day: date, today: date = SUNDAY) -> bool:
    mention = mention_at(said, 0)
    assert mention is not None
    assert mention.end == len(said)
    return mention.can_only_be(day, today)


@pytest.mark.parametrize(
    ("said", "away"),
    [
        ("today", 0), ("tomorrow", 1), ("yesterday", -1), ("the day after tomorrow", 2), ("in two days", 2), ("in 2 days", 2),
        ("two days ago", -2), ("tuesday", 2), ("this tuesday", 2), ("next tuesday", 2), ("saturday", -1), ("last saturday", None),
        ("tuesday , november 24th", 2), ("tuesday , the twenty fourth of november", 2), ("24 november 2026", 2),
        ("today , sunday the 22nd of november", 0), ("november 24 , 2026", 2),
    ],
)  # fmt: skip
def test_a_mention_is_that_day_and_no_other(said: str, away: int | None) -> None:
    fitting = [days for days in range(-9, 10) if only(said, SUNDAY + timedelta(days=days))]
    assert away is None or away in fitting
    if said not in ("tuesday", "this tuesday", "saturday"):  # a past and a coming one: the verb tells which
        assert fitting == [] if away is None else fitting == [away]


def test_a_weekday_a_week_away_is_ambiguous_and_fits_nothing() -> None:
    assert not only("tuesday", SUNDAY + timedelta(days=9))


def test_next_tuesday_on_a_monday_may_be_two_days_and_fits_neither() -> None:
    assert not only("next tuesday", MONDAY + timedelta(days=1), MONDAY)
    assert not only("next tuesday", MONDAY + timedelta(days=8), MONDAY)


def test_one_wrong_part_spoils_the_whole() -> None:
    assert not only("tuesday , november 25th", date(2026, 11, 25))
    assert not only("tuesday , november 25th", date(2026, 11, 24))
    assert not only("november 24 , 2027", date(2026, 11, 24))


def test_a_day_across_the_year_is_the_near_one() -> None:
    assert only("january 2nd", date(2027, 1, 2), date(2026, 12, 30))
    assert not only("january 2nd", date(2026, 1, 2), date(2026, 12, 30))


def test_the_builders_own_dates_are_understood() -> None:
    for days in range(366):
        day = SUNDAY + timedelta(days=days % 150)
        assert only(spoken_date(day).lower().replace(",", " ,").replace("-", " "), day)


def test_an_hour_is_no_day() -> None:
    for said in ("noon", "six", "ten am", "the second parcel", "may i", "soon", "next week"):
        assert mention_at(said, 0) is None
