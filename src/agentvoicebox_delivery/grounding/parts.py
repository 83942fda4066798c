"""Parts of a clause between its pauses, and which of them carry no fact, so that the rest can be judged by itself."""

from collections.abc import Callable, Sequence

from agentvoicebox_delivery.grounding.folding import FoldedToken

MOST_PARTS = 8  # a clause of more is judged whole
_JOINTS = frozenset({"but", "though", "although", "because"})


def bearing(
    tokens: Sequence[FoldedToken], is_free: Callable[[Sequence[FoldedToken]], bool]
) -> list[FoldedToken] | None:
    """The words of a clause without its free parts; None where no part is free.

    The longest free runs of parts are left out, from the left. What is left is judged as a clause of its own: a part can't
    change what another says, since nothing is kept of it.
    """
    parts = _parts(tokens)
    if not 1 < len(parts) <= MOST_PARTS:
        return None
    kept: list[FoldedToken] = []
    at, is_shorter = 0, False
    while at < len(parts):
        for end in range(len(parts), at, -1):
            run = [token for part in parts[at:end] for token in part]
            if end - at < len(parts) and is_free(run):
                at, is_shorter = end, True
                break
        else:
            kept += parts[at]
            at += 1
    return kept if is_shorter else None


def _parts(tokens: Sequence[FoldedToken]) -> list[list[FoldedToken]]:
    """The parts; each ends with its comma, and begins at a conjunction."""
    parts: list[list[FoldedToken]] = [[]]
    for token in tokens:
        if token.text in _JOINTS and any(each.text not in (",", ".") for each in parts[-1]):
            parts.append([])
        parts[-1].append(token)
        if token.text in (",", "."):
            parts.append([])
    return [part for part in parts if part]
