"""A look-up of a number that was perhaps misheard: what to look up, and what the results mean.

Decides when a parcel may be reported at once (exact match, and no other parcel with a similar number), when its number is read
back first, and when the caller is asked for more. All evidence of a call counts together: each utterance of the
number, its last characters when they were asked for, and the numbers that the caller rejected. Pure; callers perform the
look-ups.
"""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from agentvoicebox_delivery.numbers import likeness
from agentvoicebox_delivery.numbers.carriers import is_unfinished
from agentvoicebox_delivery.numbers.fuzzy_reading import read_fuzzy
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.numbers.slips import one_slip_away
from agentvoicebox_delivery.numbers.spoken import readings
from agentvoicebox_delivery.numbers.tracking import (
    CLEAR_LEAD,
    MOST_CANDIDATES,
    Candidate,
    candidates,
    is_tracking_id,
    normalize,
)
from agentvoicebox_delivery.parcels import reply, track
from agentvoicebox_delivery.parcels.shipment import Shipment

_DIGITS = "0123456789"
_DOUBLED = re.compile(r"[WU](?=(\d))")  # "double five" recognised as "W five"
HEARD, ENDING, REFUSED = "heard", "ending", "refused"  # keys of the tool's arguments

MOST_HEARINGS = 4
MOST_READINGS = 4  # of one utterance, for comparison with existing numbers
DOUBT = 1.6  # another parcel within one error of any kind, or two small ones: it may be the intended one
LEAD = 0.8  # the likeliest parcel leads by this much, or the caller chooses
# largest distance at which a parcel is offered; a quarter of the number misheard
SLIPS_A_CHARACTER, SLIPS_FREE = (0.24, 0.7)
LOOSE_SLIPS_A_CHARACTER = 0.36  # when the last characters fit as well
# when it leads all others by FAR_LEAD: of a number said once, said again, and with an ending that fits by EXACT_ENDING
FAR_SLIPS_A_CHARACTER, FAR_SLIPS_SAID_AGAIN, FAR_WITH_ENDING = 0.32, 0.4, 0.5
FAR_LEAD = 1.5
EXACT_ENDING = 0.5
ENDING_SLIPS = 1.5
CAP_A_CHARACTER = 0.4  # an utterance with a larger distance is no evidence
MOST_COMPARED = 100  # character by character; some 60 ms when all are long, and said four times
MOST_MISSING_WITH_ENDING = 6  # a caller who gave the ending has said the whole number
MOST_OF_A_REST = 8  # characters; more are a separate number
JOINED = 0.5
ENDING_LENGTH = 4  # digits by which a catalogue finds similar endings
SHORTEST_BEGINNING = 4
MOST_KEYS = 256


class Keys(msgspec.Struct, frozen=True):
    """Search keys for similar numbers.

    Attributes:
        beginnings: of numbers, the most selective first.
        endings: last four digits, letters left out; what was heard first.
        ids: whole numbers, which a source returns whatever else it leaves out: one slip from the number that may be reported.
    """

    beginnings: tuple[str, ...] = ()
    endings: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()

    def fit(self, tracking_id: str) -> bool:
        """Whether a source must return this number."""
        return (
            tracking_id in self.ids
            or tracking_id.startswith(self.beginnings)
            or digit_ending(tracking_id) in self.endings
        )


def digit_ending(tracking_id: str) -> str:
    """Its last four digits: letters around them, as in RB123456785GB, are what recognisers get wrong most."""
    return "".join(character for character in tracking_id if character.isdigit())[-ENDING_LENGTH:]


class Inquiry(msgspec.Struct, frozen=True):
    """The evidence for the number that a caller means.

    Attributes:
        asked: the exact ids to look up, best first, at most 16.
        hearings: for each utterance of the number, its readings with their doubt.
        ending: the last characters, when they were asked for.
        refused: ids that the caller rejected.
    """

    asked: tuple[Candidate, ...]
    hearings: tuple[tuple[tuple[str, float], ...], ...]
    ending: tuple[tuple[str, float], ...] = ()
    refused: frozenset[str] = frozenset()

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> "Inquiry | None":
        """From the tool's arguments; None without `heard`: then the id is taken literally."""
        heard = [text for text in _texts(arguments.get(HEARD)) if text.strip()][-MOST_HEARINGS:]
        if not heard:
            return None
        refused = frozenset(normalize(each) for each in _texts(arguments.get(REFUSED)))
        hearings = [_readings(text) for text in heard]
        joined = ", ".join(heard[-2:])  # the last one may be the rest of a number
        if len(heard) > 1 and len(max((text for text, _ in hearings[-1]), key=len, default="")) < MOST_OF_A_REST:
            hearings[-1] += tuple((text, cost + JOINED) for text, cost in _readings(joined))
        asked = _exact_candidates([joined, *heard] if len(heard) > 1 else heard, refused)
        return cls(
            asked,
            tuple(each for each in hearings if each),
            _readings(str(arguments.get(ENDING) or ""), shortest=2),
            refused,
        )

    def keys(self) -> Keys:
        """The search keys for similar numbers: first those of the number that may be reported, then of all utterances."""
        first = self._plain()
        plain = [first.tracking_id] if first else []
        heard = [text for hearing in self.hearings for text, _ in hearing[:2] if text not in plain]
        tails = [*(text for text, _ in self.ending[:2]), *plain, *heard]
        beginnings = _beginnings(plain) + _beginnings(heard)
        endings = [each for text in tails for each in _ending_variants(text)]
        return Keys(
            tuple(dict.fromkeys(beginnings))[:MOST_KEYS],
            tuple(dict.fromkeys(endings))[:MOST_KEYS],
            one_slip_away(plain[0]) if plain else frozenset(),
        )

    def outcome(
        self,
        found: Sequence[Shipment],
        near: Sequence[Shipment] | None,
        *,
        today: date | None = None,
        age_s: float = 0.0,
    ) -> track.LookupOutcome:
        """The meaning of the results.

        Args:
            found: the existing ones of `asked`.
            near: parcels with similar numbers, of which only the numbers count; None when the source can't search them: then
                every number needs confirmation.
            today: the day on which it is reported.
            age_s: the age of the results.
        """
        if not self.asked and not self.hearings:
            return track.invalid_id()
        existing = dict.fromkeys(
            each.tracking_id for each in (*found, *(near or ())) if each.tracking_id not in self.refused
        )
        ranked = self.ranked(existing)
        plain = self.exact_match(existing)
        known = {each.tracking_id: each for each in found}
        if plain in known and near is not None and not self.refused and self._is_alone(plain, existing):
            return track.outcome([Candidate(plain, 1.0)], [known[plain]], today=today, age_s=age_s)
        if not ranked:
            return self._not_found()
        rivals = [tracking_id for tracking_id, cost in ranked if cost < ranked[0][1] + LEAD][: track.MOST_CHOICES]
        if len(rivals) > 1 and not self.asked and len(self.hearings) == 1:
            return self._not_found()  # part of a number that several parcels share: wait for the rest
        if plain is None and len(rivals) > 1 and _are_distinct([ending(each) for each in rivals]):
            return track.LookupOutcome(track.AMBIGUOUS, reply.ambiguous(rivals), {"candidates": rivals})
        likeliest = plain or rivals[0]
        return track.LookupOutcome(track.CONFIRM, reply.confirm(likeliest), {"tracking_id": likeliest})

    def _not_found(self) -> track.LookupOutcome:
        """Names the last and plainest reading."""
        # Of several utterances only a plain reading is one of the last; others may be two of them together.
        is_named = bool(self.asked) and (len(self.hearings) < 2 or self.asked[0].cost < CLEAR_LEAD)
        first = self.asked[0].tracking_id if is_named else self.hearings[-1][0][0]
        return track.LookupOutcome(track.NOT_FOUND, reply.not_found(first), {"tracking_id": first})

    def exact_match(self, existing: Container[str]) -> str | None:
        """The number that was plainly said, if it exists and no evidence contradicts it."""
        first = self._plain()
        if first is None or first.tracking_id not in existing:
            return None
        said_otherwise = [
            each for each in self.asked[1:] if each.cost <= first.cost + CLEAR_LEAD and each.tracking_id in existing
        ]
        return None if said_otherwise else first.tracking_id

    def _plain(self) -> Candidate | None:
        """The only number that may be reported without a yes: plainly said, whole, and not against its check digit."""
        if self.ending or not self.asked:
            return None
        first = self.asked[0]
        is_plain = first.cost < CLEAR_LEAD and first.check_digit_ok is not False
        return first if is_plain and not is_unfinished(first.tracking_id) else None

    def _is_alone(self, plain: str, existing: Iterable[str]) -> bool:
        """Whether no other parcel is so similar that it may be meant, by this or any earlier utterance."""
        heard = [(plain, 0.0), *(reading for hearing in self.hearings for reading in hearing[:1])]
        others = [each for each in existing if each != plain]
        if not one_slip_away(plain).isdisjoint(others):
            return False
        alike = likeness.most_alike([plain], others, MOST_COMPARED)
        return all(likeness.closest(heard, each, 2 * DOUBT) > DOUBT for each in alike)

    def ranked(self, ids: Iterable[str]) -> list[tuple[str, float]]:
        """Existing ids that may be meant, likeliest first, each with its distance from all evidence."""
        near: list[tuple[float, str]] = []
        far: list[tuple[float, str]] = []
        heard = list(dict.fromkeys(text for hearing in self.hearings for text, _ in hearing[:2]))
        for tracking_id in likeness.most_alike(heard, ids, MOST_COMPARED):
            cap = (FAR_WITH_ENDING if self.ending else CAP_A_CHARACTER) * len(tracking_id) + SLIPS_FREE
            missing = MOST_MISSING_WITH_ENDING if self.ending else likeness.MOST_MISSING
            costs = [likeness.closest(each, tracking_id, cap, most_missing=missing) for each in self.hearings]
            tail = _tail_distance(self.ending, tracking_id) if self.ending else 0.0
            if min(costs, default=cap) >= cap or tail > ENDING_SLIPS:
                continue
            slips_a_character = (min(costs) - SLIPS_FREE) / len(tracking_id)
            ranked = (sum(costs) + 2 * tail, tracking_id)
            far.append(ranked)
            if slips_a_character <= (LOOSE_SLIPS_A_CHARACTER if self.ending else SLIPS_A_CHARACTER):
                near.append(ranked)
        far.sort()
        if not near and far and self._stands_out(far):
            near = far[:1]
        return [(tracking_id, round(cost, 3)) for cost, tracking_id in sorted(near)]

    def _stands_out(self, far: Sequence[tuple[float, str]]) -> bool:
        """Whether the first is much nearer than all others, and not too far."""
        cost, tracking_id = far[0]
        if len(far) > 1 and far[1][0] < cost + FAR_LEAD:
            return False
        if self.ending:
            return _tail_distance(self.ending, tracking_id) <= EXACT_ENDING
        most = FAR_SLIPS_A_CHARACTER if len(self.hearings) == 1 else FAR_SLIPS_SAID_AGAIN
        return cost <= len(self.hearings) * (most * len(tracking_id) + SLIPS_FREE)


def _beginnings(texts: Sequence[str]) -> list[str]:
    return sorted((each for text in texts for each in _beginning_variants(text)), key=len, reverse=True)


def _are_distinct(endings: Sequence[str]) -> bool:
    """Whether a caller can choose by them: none is the end of another."""
    return not any(a.endswith(b) for at, a in enumerate(endings) for other, b in enumerate(endings) if at != other)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [each for each in value if isinstance(each, str)] if isinstance(value, list | tuple) else []


def _exact_candidates(heard: Sequence[str], refused: frozenset[str]) -> tuple[Candidate, ...]:
    """The newest utterance's readings first, then further ones of earlier utterances."""
    found: dict[str, Candidate] = {}
    for place, text in enumerate(reversed(heard)):
        for each in candidates(text):
            if each.tracking_id not in refused:
                # Only the last utterance can be taken literally.
                cost = each.cost if place == 0 else max(each.cost, CLEAR_LEAD)
                found.setdefault(each.tracking_id, msgspec.structs.replace(each, cost=cost))
    return tuple(list(found.values())[:MOST_CANDIDATES])


def _readings(text: str, *, shortest: int = 4) -> tuple[tuple[str, float], ...]:
    """The longest and plainest readings of one utterance."""
    found = [(each.text, 0.5 * each.cost) for each in readings(text) if len(each.text) >= shortest]
    found += [(each.tracking_id, 0.5 * each.cost) for each in candidates(text)[:2] if is_tracking_id(each.tracking_id)]
    rough = read_fuzzy(text)
    if rough is not None and len(rough.text) >= shortest:
        found.append((rough.text, rough.cost))
    found += [(_DOUBLED.sub(r"\1", said), cost + 0.2) for said, cost in found]
    best: dict[str, float] = {}
    for said, cost in found:
        best[said] = min(cost, best.get(said, cost))
    return tuple(sorted(best.items(), key=lambda each: (3 * each[1] - len(each[0]), each[0]))[:MOST_READINGS])


def _ending_variants(text: str) -> list[str]:
    """Possible last digits of `text`: unchanged, one too many or too few, a lost repetition, a substitution, a swap."""
    digits = "".join(character for character in text if character.isdigit())
    tail, longer = digits[-ENDING_LENGTH:], digits[-ENDING_LENGTH - 1 :]
    if len(tail) < ENDING_LENGTH - 1:
        return []
    variants = [tail]
    if len(tail) < ENDING_LENGTH:  # three of four were recognised, or there are no more
        variants += [tail[:at] + other + tail[at:] for at in range(len(tail) + 1) for other in _DIGITS]
        return list(dict.fromkeys(variants))
    variants += [longer[:at] + longer[at + 1 :] for at in range(1, len(longer))] if len(longer) > ENDING_LENGTH else []
    variants += [
        (tail[:at] + other + tail[at:])[-ENDING_LENGTH:] for at in range(1, len(tail) + 1) for other in _DIGITS
    ]
    variants += [tail[:at] + other + tail[at + 1 :] for at in range(len(tail)) for other in _DIGITS]
    variants += [_swapped(longer, at)[-ENDING_LENGTH:] for at in range(len(longer) - 1)]
    variants.append(tail[1:])  # a merchant's number may have only three digits
    return list(dict.fromkeys(variants))


def _beginning_variants(text: str) -> list[str]:
    """Possible beginnings of `text`: unchanged, with a repetition more or less, a swap, or a similar-sounding character."""
    half = text[: max(SHORTEST_BEGINNING, len(text) // 2)]
    if len(half) < SHORTEST_BEGINNING:
        return []
    variants = [text[:-2], half] if len(text) - 2 > len(half) else [half]
    variants += [half[: at + 1] + half[at:] for at in range(len(half))]  # a lost repetition
    variants += [half[:at] + half[at + 1 :] for at in range(1, len(half)) if half[at] == half[at - 1]]  # or added
    variants += [_swapped(half, at) for at in range(len(half) - 1)]
    variants += [half[:at] + other + half[at + 1 :] for at, c in enumerate(half) for other in likeness.rhymes(c)]
    return [each for each in variants if len(each) >= SHORTEST_BEGINNING]


def _swapped(text: str, at: int) -> str:
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _tail_distance(ending_heard: Sequence[tuple[str, float]], tracking_id: str) -> float:
    return min(
        (cost + likeness.distance(text, tracking_id[-length:], 2.0)
         for text, cost in ending_heard
         for length in {len(text), ENDING_LENGTH} if 2 <= length <= len(tracking_id)),
        default=float("inf"),
    )  # fmt: skip
