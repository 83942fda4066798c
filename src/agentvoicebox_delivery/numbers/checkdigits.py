"""Check digits of carriers' tracking numbers.

Each function takes a compact id (upper case, no separators) whose shape its caller has already matched, and says whether
the check digit fits. A check digit is a hint: random digits pass one time in ten, so passing never proves an id, and a
parcel that exists is never refused because of it. `carriers` assigns shapes to carriers.
Source: the carriers' published algorithms, checked against public test vectors in the tests.
"""

from collections.abc import Sequence
from itertools import cycle


def _weighted(digits: str, weights: Sequence[int]) -> int:
    """Sum of digit times weight; the weights repeat as often as needed."""
    return sum(int(digit) * weight for digit, weight in zip(digits, cycle(weights), strict=False))


def _mod10(digits: str, weights: Sequence[int]) -> int:
    """The digit that brings the weighted sum to a multiple of ten."""
    return -_weighted(digits, weights) % 10


def ups(body_and_check: str) -> bool:
    """UPS: letters count as (code - 3) mod 10, odd places double, without folding two-digit products (so not Luhn).

    Args:
        body_and_check: the characters after `1Z`, or after the first letter of a waybill.
    """
    values = [int(c) if c.isdigit() else (ord(c) - 3) % 10 for c in body_and_check[:-1]]
    total = sum(value * (2 if index % 2 else 1) for index, value in enumerate(values))
    return -total % 10 == int(body_and_check[-1])


def ups_1z(tracking_id: str) -> bool:
    """`1Z` and sixteen characters."""
    return ups(tracking_id[2:])


def ups_waybill(tracking_id: str) -> bool:
    """A letter and ten digits."""
    return ups(tracking_id[1:])


def fedex_express(tracking_id: str) -> bool:
    """Twelve digits: weights 3, 1, 7, remainder of 11, then of 10."""
    return _weighted(tracking_id[:11], (3, 1, 7)) % 11 % 10 == int(tracking_id[-1])


def fedex_ground(tracking_id: str) -> bool:
    """Fifteen digits, weights 1 and 3 from the check digit leftwards."""
    return _mod10(tracking_id[:-1][::-1], (3, 1)) == int(tracking_id[-1])


def fedex_ground_96(tracking_id: str) -> bool:
    """`96` and twenty digits: the last fifteen are a Ground number."""
    return fedex_ground(tracking_id[-15:])


def fedex_34(tracking_id: str) -> bool:
    """Thirty-four digits: the number proper is the last fourteen, of them thirteen are weighed 1, 7, 3."""
    return _weighted(tracking_id[-14:-1], (1, 7, 3)) % 11 % 10 == int(tracking_id[-1])


def fedex_32(tracking_id: str) -> bool:
    """Thirty-two digits: a twelve-digit number sits at places 16 to 27."""
    return fedex_express(tracking_id[16:28])


def sscc18(tracking_id: str) -> bool:
    """Eighteen digits, GS1: weights 3 and 1 from the check digit leftwards."""
    return _mod10(tracking_id[:-1][::-1], (3, 1)) == int(tracking_id[-1])


def usps(tracking_id: str) -> bool:
    """USPS numbers of 22 or 26 digits, weights 3 and 1 from the check digit leftwards.

    A `420` and ZIP in front do not count. Of 20 digits there are two generations: an older one is summed with `91` in
    front; either may fit.
    """
    core = tracking_id
    if core.startswith("420") and len(core) in (30, 34):
        core = core[-22:]
    cores = (core, "91" + core) if len(core) == 20 else (core,)
    return any(_mod10(each[:-1][::-1], (3, 1)) == int(each[-1]) for each in cores)


def dhl_express(tracking_id: str) -> bool:
    """Ten or eleven digits: the number before the check digit, remainder of 7."""
    return int(tracking_id[:-1]) % 7 == int(tracking_id[-1])


def s10(tracking_id: str) -> bool:
    """UPU S10: two letters, eight digits, a check digit, a country."""
    rest = _weighted(tracking_id[2:10], (8, 6, 4, 2, 3, 5, 9, 7)) % 11
    return {0: 5, 1: 0}.get(rest, 11 - rest) == int(tracking_id[10])
