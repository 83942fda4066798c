"""How long to wait for the rest of a spoken number, and when to compare what was heard with the numbers that exist.

A number often looks like the beginning of a longer kind (ten digits from 92 on may be DHL's, or the start of USPS's 22), and
a recogniser loses characters. Pure.
"""

from collections.abc import Sequence

from agentvoicebox_delivery.numbers.carriers import is_unfinished, missing
from agentvoicebox_delivery.numbers.tracking import SHORTEST

MOST_MISSED = 3  # characters short of a whole number that a recogniser may have lost
SHORTEST_OF_DIGITS = 10  # characters of a carrier's number without letters
LONG_ENOUGH = 9  # characters; a whole number of another kind


def asks_for_ending(tracking_id: str, failures: int) -> bool:
    """Whether to ask for the last four characters of a spoken number that no parcel has.

    Only after the caller has read a long number in groups of three: that serves more callers on the second try.
    """
    return failures == 2 and len(tracking_id) >= LONG_ENOUGH


def asks_for_groups(tracking_id: str, failures: int) -> bool:
    """Whether to ask for the whole number in groups of three: at once for a long one, else after it was said once more."""
    return failures > 1 or len(tracking_id) >= LONG_ENOUGH


def waits_for_rest(tracking_id: str, tries: Sequence[str]) -> bool:
    """Whether to ask for the rest of a number at once, without comparing it with the numbers that exist.

    Args:
        tracking_id: the characters heard so far.
        tries: what was heard before, each time that the caller said the number completely. Once there is one, the caller has
            repeated the number, and does not want to hear the same question.
    """
    return not tries and len(tracking_id) < LONG_ENOUGH and missing(tracking_id) > MOST_MISSED


def may_continue(tracking_id: str, tries: Sequence[str], lines: int) -> bool:
    """Whether a number without a parcel may be the beginning of one: incomplete, and said for the first time.

    Args:
        tracking_id: the characters heard so far.
        tries: as for `waits_for_rest`, with this one.
        lines: over how many lines of the caller the characters came. A caller who pauses between groups of digits goes on.
    """
    is_in_groups = lines > 1 and tracking_id.isdigit() and len(tracking_id) < SHORTEST_OF_DIGITS
    return len(tries) == 1 and (len(tracking_id) < SHORTEST or is_unfinished(tracking_id) or is_in_groups)
