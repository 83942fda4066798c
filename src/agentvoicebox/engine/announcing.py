"""The notice that a call is recorded: a response of its own, before anything else is said, whose words no language model writes.

It begins once the client has said something of itself (its audio format, above all) and no turn is open. What is asked for
meanwhile waits for it. The caller's voice does not cut it; a client may cancel or truncate it like any other response.
"""

from agentvoicebox.engine import answering
from agentvoicebox.engine.inputs import ClientEventReceived, RecordingDecided, SpeechStarted
from agentvoicebox.engine.outputs import send
from agentvoicebox.engine.response import LiveResponse, ResponseEvent
from agentvoicebox.engine.state import Announcement, State
from agentvoicebox.engine.step import Step
from agentvoicebox.wire import client_events as ce
from agentvoicebox.wire import server_events as ev


def decide(state: State, step: Step, given: RecordingDecided) -> None:
    """It is known whether the call is recorded: the notice is due, once in a session, or what has waited for it goes on."""
    announcement = state.announcement
    if state.config.type != "realtime" or (announcement is not None and announcement.text is not None):
        return
    state.announcement = Announcement(given.notice) if given.notice else None
    if not given.notice:
        answering.answer_waiting_turn(state, step)


def note_client(state: State, given: object) -> None:
    """The client has said something of itself, or its caller speaks: the notice can be said in its format."""
    if isinstance(given, ClientEventReceived | SpeechStarted):
        state.has_client_spoken = True


def holds_back(state: State, event: ce.ClientEvent) -> bool:
    """Whether a client's event waits until the notice was said: a response in the conversation, if none waits already."""
    if not isinstance(event, ce.ResponseCreate) or state.waiting_request is not None:
        return False
    is_out_of_band = event.response is not None and event.response.conversation == "none"
    return not is_out_of_band and state.config.type == "realtime" and is_pending(state)


def is_pending(state: State) -> bool:
    """Whether the notice is due, or is being said."""
    announcement = state.announcement
    return announcement is not None and (not announcement.response_id or announcement.response_id in state.responses)


def is_due(state: State) -> bool:
    """Whether the notice is to be said now."""
    announcement = state.announcement
    return (
        announcement is not None
        and announcement.text is not None
        and not announcement.response_id
        and state.has_client_spoken
        and state.active is None
        and state.buffer.turn is None
    )


def begin(state: State, step: Step) -> None:
    """Say the notice."""
    announcement = state.announcement
    assert announcement is not None and announcement.text is not None
    response = LiveResponse(id=step.ids.next("resp"), config=state.config)
    announcement.response_id = response.id
    state.responses[response.id] = response
    state.idle_at_s = None
    created = response.to_wire(state.conversation_id)
    send(response, step, ev.ResponseCreated(event_id=step.event_id(), response=created))
    response.context = ()
    response.apply(ResponseEvent.TRANSCRIPT_KNOWN)
    answering.say(state, step, response, announcement.text)
