"""Which effects a client that reconnects has not seen, by the id of the last event it got."""

from collections.abc import Sequence

from agentvoicebox.engine.effects import Effect, Send, SendAudio, SendRetrieved


def position_of(effects: Sequence[Effect], event_id: str) -> int | None:
    """Index of the effect that made the event of this id; None when none of these did."""
    for index, effect in enumerate(effects):
        match effect:
            case Send(event=event) | SendRetrieved(event=event) if event_id in (
                event.event_id,
                f"{event.event_id}_tail",
            ):
                return index
            case SendAudio(event_id=first) if event_id == first or event_id.startswith(f"{first}_"):
                return index
            case _:
                pass
    return None


def missed_effects(effects: Sequence[Effect], last_event_id: str) -> Sequence[Effect]:
    """What a client that got `last_event_id` last may lack; empty when that event is not among these.

    Telephone audio is one resampled stream per response, so for such responses it begins with the first chunk.
    """
    position = position_of(effects, last_event_id)
    if position is None:
        return []
    streams = {each.response_id for each in effects if isinstance(each, SendAudio) and each.format.type != "audio/pcm"}
    before = [each for each in effects[:position] if isinstance(each, SendAudio) and each.response_id in streams]
    return [*before, *effects[position:]]
