"""Why a clause is refused."""


class ClaimRefused(Exception):
    """A claim is not supported. The message is the reason: a short fixed text without any word of the clause."""


def need(is_true: bool, reason: str) -> None:
    """Raises ClaimRefused unless `is_true`."""
    if not is_true:
        raise ClaimRefused(reason)
