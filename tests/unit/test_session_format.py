"""A stored session states its format: what is older is read, what is newer is refused before anything is misread."""

import msgspec
import pytest
from tests.kit.conversation import Talk

from agentvoicebox.engine import session_format
from agentvoicebox.engine.session import Engine
from agentvoicebox.errors import NewerFormat
from agentvoicebox.gateway.admission.handshake import CLOSE_TRY_LATER, close_of


def talked() -> Engine:
    talk = Talk()
    talk.speech(0, 16_000, "Where is my parcel?")
    return talk.engine


def test_a_snapshot_begins_with_its_format() -> None:
    fields = msgspec.msgpack.decode(talked().snapshot())
    assert next(iter(fields.items())) == ("format", session_format.WRITTEN)


def test_a_snapshot_with_fields_that_this_version_does_not_know_is_read() -> None:
    engine = talked()
    fields = msgspec.msgpack.decode(engine.snapshot()) | {"mood": "good"}
    assert Engine.restore(msgspec.msgpack.encode(fields)).state == engine.state


def test_a_snapshot_of_a_newer_version_is_refused_whatever_its_shape() -> None:
    newer = session_format.NEWEST_READ + 1
    with pytest.raises(NewerFormat) as refused:
        Engine.restore(msgspec.msgpack.encode({"format": newer, "anything": []}))
    message = refused.value.message
    assert f"format {newer}" in message and f"up to {session_format.NEWEST_READ}" in message and "Upgrade" in message


def test_the_refusal_asks_the_client_to_come_again() -> None:
    assert close_of(NewerFormat("session", 2, 1)) == (CLOSE_TRY_LATER, "server_error.newer_format")


def test_no_format_is_written_that_is_not_read() -> None:
    assert session_format.WRITTEN <= session_format.NEWEST_READ
