"""All numbers that are one slip away from a number: what a caller or a recogniser makes of it with one mistake.

`inquiry` has a source look them up by name, so that none is missed however many parcels begin or end alike.
"""

import string
from functools import lru_cache

ALPHABET = string.digits + string.ascii_uppercase
LONGEST = 34  # characters; about 2,400 numbers


@lru_cache(maxsize=64)
def one_slip_away(tracking_id: str) -> frozenset[str]:
    """The numbers with one character changed, added or lost, or two neighbours swapped; without the number itself.

    Args:
        tracking_id: upper case letters and digits, at most 34; of a longer one there are none.
    """
    if len(tracking_id) > LONGEST:
        return frozenset()
    cuts = [(tracking_id[:at], tracking_id[at:]) for at in range(len(tracking_id) + 1)]
    changed = {before + other + after[1:] for before, after in cuts if after for other in ALPHABET}
    added = {before + other + after for before, after in cuts for other in ALPHABET}
    lost = {before + after[1:] for before, after in cuts if after}
    swapped = {before + after[1] + after[0] + after[2:] for before, after in cuts if len(after) > 1}
    return frozenset((changed | added | lost | swapped) - {tracking_id})
