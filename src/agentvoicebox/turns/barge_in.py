"""How long speech must last to open a turn: longer while the agent speaks, because a false start would interrupt it."""

ONSET_MS = 64  # two windows: Silero gives clicks and knocks none (measured), a breath at most one; "no" gives eleven
BARGE_IN_MS = 128  # four windows: a cough or the agent's own echo rarely lasts so long, any word does


def least_voiced_ms(*, agent_is_speaking: bool) -> int:
    """How long a caller's voice must last before it opens a turn."""
    return BARGE_IN_MS if agent_is_speaking else ONSET_MS
