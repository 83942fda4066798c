"""What the replay of an ended session showed. Holds no words, so it may be stored under every rule."""

from typing import Literal

import msgspec

from agentvoicebox.interactions.interaction import Interaction

Replay = Literal["same", "differs", "impossible"]


class ReplayVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One session's. Fields after `replay` are None where they are not known.

    Attributes:
        replay: whether the log gives the same effects again; `impossible`: the recording has gaps, or can't be replayed.
        invariant_broken: the first invariant of the conversation that was violated, or None.
        claims: number of facts that the agent stated; None, as the next three, for an agent without a judge.
        unfounded: number of these that no tool result supports.
        due: number of results that the agent had time to report.
        reported: number of these that it reported.
        tool_calls: number of tool calls that were answered.
    """

    replay: Replay
    invariant_broken: str | None = None
    claims: int | None = None
    unfounded: int | None = None
    due: int | None = None
    reported: int | None = None
    tool_calls: int | None = None


IMPOSSIBLE = ReplayVerdict(replay="impossible")


def verdict_of(interaction: Interaction, *, is_same: bool) -> ReplayVerdict:
    """The verdict on a session that was replayed. `is_same`: its effects were the same."""
    replay: Replay = "impossible" if not interaction.is_whole else "same" if is_same else "differs"
    judgement = interaction.judgement
    return ReplayVerdict(
        replay=replay,
        invariant_broken=interaction.invariant_broken or None,
        claims=None if judgement is None else judgement.claims,
        unfounded=None if judgement is None else len(judgement.unfounded),
        due=None if judgement is None else judgement.due,
        reported=None if judgement is None else judgement.reported,
        tool_calls=len(interaction.tool_calls),
    )
