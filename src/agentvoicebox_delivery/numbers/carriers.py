"""The carriers whose numbers an id looks like.

A table of shapes, most specific first. One id may fit several carriers (twelve digits are FedEx's and others'), so the
answer is a list; it does not say whether the parcel exists.
"""

import re
from collections.abc import Callable

import msgspec

from agentvoicebox_delivery.numbers import checkdigits


class Shape(msgspec.Struct, frozen=True):
    """One kind of tracking number.

    Attributes:
        carrier: display name.
        pattern: of the whole compact id.
        check: whether the check digit fits, or None where there is none.
        prefix: a prefix that identifies an incomplete id, or "".
        length: its length when complete, for those with a `prefix`; 0 when it varies.
    """

    carrier: str
    pattern: str
    check: Callable[[str], bool] | None = None
    prefix: str = ""
    length: int = 0


class Match(msgspec.Struct, frozen=True):
    """An id fits a shape. `check_digit_ok` is None where the shape has no check digit."""

    carrier: str
    check_digit_ok: bool | None


SHAPES: tuple[Shape, ...] = (
    Shape("UPS", r"1Z[A-Z0-9]{15}\d", checkdigits.ups_1z, prefix="1Z", length=18),
    Shape("UPS", r"[AHJKTV]\d{10}", checkdigits.ups_waybill),
    Shape("Amazon", r"TB[ACM]\d{12}", prefix=r"TB[ACM]", length=15),
    Shape("the post", r"[A-Z]{2}\d{9}[A-Z]{2}", checkdigits.s10),
    Shape("USPS", r"9[2-5]\d{20}", checkdigits.usps, prefix=r"9[2-5]0\d\d", length=22),
    Shape("USPS", r"9[2-5]\d{24}", checkdigits.usps),
    Shape("USPS", r"420\d{5}(?:\d{4})?9[1-5]\d{20}", checkdigits.usps),
    Shape("USPS", r"91\d{20}|\d{20}", checkdigits.usps),
    Shape("FedEx", r"96\d{20}", checkdigits.fedex_ground_96, prefix="96110", length=22),
    Shape("FedEx", r"[0-8]\d{33}", checkdigits.fedex_34),
    Shape("FedEx", r"3\d{31}", checkdigits.fedex_32),
    Shape("FedEx", r"\d{12}", checkdigits.fedex_express),
    Shape("FedEx", r"\d{15}", checkdigits.fedex_ground),
    Shape("FedEx", r"\d{18}", checkdigits.sscc18),
    Shape("DHL", r"J[A-Z]{2,3}\d{9,10}", prefix="JJD|JVGL"),
    Shape("DHL", r"GM\d{14,20}"),
    Shape("DHL", r"\d{10,11}", checkdigits.dhl_express),
    Shape("DHL", r"\d{14}"),
)

_COMPILED = tuple((shape, re.compile(shape.pattern)) for shape in SHAPES)
_UNFINISHED = tuple((re.compile(shape.prefix), shape.length) for shape in SHAPES if shape.prefix and shape.length)

# A merchant's own order-like number: a few letters, then digits (`PKG004`). No carrier, no check digit.
MERCHANT_SHAPE = re.compile(r"[A-Z]{2,5}\d{3,12}")


def matches(tracking_id: str) -> list[Match]:
    """Every shape that a compact id fits; those whose check digit fits come first, then the table's order."""
    found = [
        Match(shape.carrier, shape.check(tracking_id) if shape.check else None)
        for shape, pattern in _COMPILED
        if pattern.fullmatch(tracking_id)
    ]
    return sorted(found, key=lambda match: match.check_digit_ok is False)


def is_unfinished(tracking_id: str) -> bool:
    """Whether an id begins like a number of known length and is still too short (`1Z999AA1`)."""
    if any(match.check_digit_ok for match in matches(tracking_id)):
        return False
    return any(len(tracking_id) < length and pattern.match(tracking_id) for pattern, length in _UNFINISHED)


def missing(tracking_id: str) -> int:
    """The least number of missing characters of an unfinished id; 0 for any other."""
    lacking = [length - len(tracking_id) for pattern, length in _UNFINISHED if pattern.match(tracking_id)]
    return max(0, min(lacking, default=0))
