"""What a client may send during a call: its text → an event for the session, or an error that says why not."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from agentvoicebox.webrtc.call_session import without_formats

MAX_EVENT_BYTES = 256 * 1024  # of a message on the data channel, as the answer's SDP says
OWN_ID = "webrtc_"  # of events to which the client gave no id
CUT_ID = "webrtc-cut_"  # of events that the client did not send
BY_TRACK = "The caller's audio comes by the media track of a WebRTC call, so it can't be appended."


class ClientEvent(msgspec.Struct, frozen=True):
    """An event for the session. `is_clear`: it goes no further: the agent's audio is to be thrown away."""

    event: dict[str, Any]
    is_clear: bool = False


class EventReader:
    """One call's. It counts the events, so that each has an id."""

    def __init__(self) -> None:
        self._count = 0

    def read(self, text: str, max_bytes: int = MAX_EVENT_BYTES) -> ClientEvent | dict[str, Any]:
        """The event in a text, or the body of the error that answers it."""
        if len(text.encode("utf-8", "replace")) > max_bytes:
            return _error("event_too_large", f"An event has at most {max_bytes} bytes.")
        try:
            event = json.loads(text)
        except (ValueError, RecursionError):
            return _error("invalid_json", "The message is not valid JSON.")
        if not isinstance(event, dict) or not isinstance(event.get("type"), str):
            return _error("invalid_event", "An event is a JSON object with a type.")
        event_id = event.get("event_id")
        match event["type"]:
            case "output_audio_buffer.clear":
                return ClientEvent(event, is_clear=True)
            case "input_audio_buffer.append":
                return _error("invalid_event", BY_TRACK, event_id)
            case "session.update" if isinstance(event.get("session"), dict):
                event = {**event, "session": without_formats(event["session"])}
            case _:
                pass
        if not isinstance(event_id, str) or not event_id:
            self._count += 1
            event = {**event, "event_id": f"{OWN_ID}{self._count}"}
        return ClientEvent(event)


def for_client(event: dict[str, Any]) -> dict[str, Any] | None:
    """A server event as the client may see it: without ids that only we gave. None: it answers an event of ours."""
    error = event.get("error")
    if event.get("type") != "error" or not isinstance(error, Mapping):
        return event
    event_id = str(error.get("event_id") or "")
    if event_id.startswith(CUT_ID):
        return None
    return {**event, "error": {**error, "event_id": None}} if event_id.startswith(OWN_ID) else event


def _error(code: str, message: str, event_id: object = None) -> dict[str, Any]:
    body = {"type": "invalid_request_error", "code": code, "message": message, "param": None}
    return {**body, "event_id": event_id if isinstance(event_id, str) else None}
