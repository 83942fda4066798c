"""Readings of a token sequence: every id that a text can mean, each with its distance from the plain reading.

Decides how weak words count among their neighbours, what a correction replaces, and which runs belong together.
`tracking` decides which reading looks most like a real number.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec

from agentvoicebox_delivery.numbers.other_numbers import without_other_numbers
from agentvoicebox_delivery.numbers.tokens import Break, Correction, Option, Symbols, Token, Units, clean, tokenize

MOST_PATHS = 32  # kept during the search; twice the candidates of a look-up
MOST_RUNS = 6  # runs of characters read in one text, the last ones
REMEMBERED = 512  # texts; the dialogue reads the whole conversation again at each line
JOIN_COST = 0.5  # for each gap of other words inside one id
SHORTEST_NUMBER = 6  # characters of a tracking number


class IdReading(msgspec.Struct, frozen=True):
    """Characters, and the doubt in them: 0 for the plain reading; 1 or more is a guess."""

    text: str
    cost: float


@lru_cache(maxsize=REMEMBERED)
def readings(text: str) -> tuple[IdReading, ...]:
    """All readings of typed or spoken text, of any length from 1, cheapest first; () when it holds no characters.

    Numbers that the text calls something else (a telephone number, a date) are left out; an order number is, if there is
    another number.
    """
    cleaned = clean(text)
    strict = without_other_numbers(cleaned, with_references=True)
    found = _read(strict)
    if any(len(each.text) >= SHORTEST_NUMBER and any(c.isdigit() for c in each.text) for each in found):
        return found
    loose = without_other_numbers(cleaned, with_references=False)
    return found if loose == strict else _read(loose)


def _read(text: str) -> tuple[IdReading, ...]:
    runs = [paths for paths in map(_expand, _runs(_weigh(tokenize(text)))) if paths[0].units][-MOST_RUNS:]
    found = [IdReading(path.text, path.cost) for run in runs for path in run]
    for start in range(len(runs) - 1):
        found += _joined(runs[start:])
    return tuple(_cheapest(found))


def _joined(runs: Sequence[Sequence[Option]]) -> Iterable[IdReading]:
    paths: list[Option] = [Option(())]
    for run in runs:
        paths = _product(paths, run)
    return [IdReading(path.text, path.cost + JOIN_COST * (len(runs) - 1)) for path in paths]


def _cheapest(found: Iterable[IdReading]) -> list[IdReading]:
    """Each text once. An id that was said twice is one id."""
    best: dict[str, float] = {}
    for reading in found:
        text, half = reading.text, len(reading.text) // 2
        if half >= 6 and text == text[:half] * 2:
            text = text[:half]
        if text and reading.cost < best.get(text, float("inf")):
            best[text] = reading.cost
    return sorted((IdReading(text, cost) for text, cost in best.items()), key=lambda reading: reading.cost)


def _is_strong(token: Token | None) -> bool:
    return isinstance(token, Symbols) and not token.is_weak


def _weigh(tokens: Sequence[Token]) -> list[Token]:
    """Give each weak word the option of being no character, at a cost that depends on its neighbours."""
    weighed: list[Token] = []
    for index, token in enumerate(tokens):
        if not isinstance(token, Symbols) or not token.is_weak or any(not option.text for option in token.options):
            weighed.append(token)
            continue
        first = index
        while first > 0 and isinstance(tokens[first - 1], Symbols) and not _is_strong(tokens[first - 1]):
            first -= 1
        last = index
        while last + 1 < len(tokens) and isinstance(tokens[last + 1], Symbols) and not _is_strong(tokens[last + 1]):
            last += 1
        before = tokens[first - 1] if first > 0 else None
        after = tokens[last + 1] if last + 1 < len(tokens) else None
        weighed.append(_weak(token, before, after))
    return weighed


def _weak(token: Symbols, before: Token | None, after: Token | None) -> Token:
    match (_is_strong(before), _is_strong(after)):
        case (False, False):
            return Break()
        case (True, True):
            keep, drop = 0.0, 2.0
        case (True, False):  # "… four, I think" against "… four oh"
            keep, drop = (0.5, 1.0) if after is None and not token.ends_clause else (2.0, 0.0)
        case _:  # "looking for six" against "for zero zero six"
            keep, drop = (0.5, 1.0) if not isinstance(before, Break) and not token.ends_clause else (2.0, 0.0)
    options = [Option(option.units, option.cost + keep) for option in token.options]
    return Symbols((*options, Option((), drop)), False, token.ends_clause)


def _runs(tokens: Sequence[Token]) -> list[list[Token]]:
    """Runs without a break. A correction connects what follows to what came before, whatever words lie between."""
    runs: list[list[Token]] = []
    is_open = False
    for token in tokens:
        match token:
            case Break():
                is_open = is_open and isinstance(runs[-1][-1], Correction)
            case Correction():
                if not runs:
                    continue
                runs[-1].append(token)
                is_open = True
            case Symbols():
                if not is_open:
                    runs.append([])
                runs[-1].append(token)
                is_open = True
    return runs


def _product(paths: Sequence[Option], options: Sequence[Option]) -> list[Option]:
    grown = [Option(path.units + each.units, path.cost + each.cost) for path in paths for each in options]
    return sorted(grown, key=lambda path: path.cost)[:MOST_PATHS]


def _expand(run: Sequence[Token]) -> list[Option]:
    """All paths through a run, with corrections applied, cheapest first."""
    paths: list[Option] = [Option(())]
    pending: Correction | None = None
    said: list[Option] = [Option(())]
    for token in (*run, None):
        if isinstance(token, Symbols):
            said = _product(said, token.options)
            continue
        if pending is None:
            paths = said
        else:
            corrected = [each for before in paths for after in said for each in _correct(before, after, pending)]
            paths = sorted(corrected, key=lambda path: path.cost)[:MOST_PATHS]
        if isinstance(token, Correction):
            # Two corrections in a row ("no, sorry") are one; the more exact of them counts.
            is_same = pending is not None and said == [Option(())]
            pending = pending if is_same and pending is not None and token.replaces == 0 else token
            said = [Option(())]
    return paths


def _correct(before: Option, after: Option, correction: Correction) -> list[Option]:
    """The meanings of "before, no, after"."""
    cost = before.cost + after.cost
    if not after.units or not before.units:
        return [Option(before.units + after.units, cost)]
    if correction.replaces < 0:
        return [Option(after.units, cost)]
    characters, count = before.text, len(after.text)
    if correction.replaces > 0:
        kept = characters[: -correction.replaces]
        return [Option((*kept, *after.units), cost + (0.0 if count == correction.replaces else 1.0))]
    tail = characters[-count:]
    likeness = sum(a == b for a, b in zip(tail, after.text, strict=False)) / count
    anew, last, same_length = 3.0, 0.0, 1.0
    if count >= max(6, len(characters) - 1):  # as long as all characters before: the whole number again
        anew, last, same_length = 0.0, 1.0, 1.0
    elif len(after.units) > 1 and likeness >= 0.5 and count <= len(characters):
        last, same_length = 1.0, 0.0  # "four five six, no, four five seven"
        anew = 2.0
    options: list[tuple[Units, float]] = [
        (after.units, anew),
        (before.units[:-1] + after.units, last),
        (before.units + after.units, 3.0),
    ]
    if count <= len(characters):
        options.append(((*characters[:-count], *after.units), same_length))
    return [Option(units, cost + extra) for units, extra in options]
