"""The tool that hands a caller over to a person, as the dialogue and language models see it."""

from typing import Annotated

import msgspec

NAME = "hand_over"
DESCRIPTION = (
    "Hand the caller over to a person: by transfer, or by a call back. Call it when the caller asks for a person, or agrees to be"
    " handed over. Returns JSON: `code` (OK or UNAVAILABLE), `kind` (transfer or callback), `speech` (a sentence to say)."
)
OK, UNAVAILABLE = "OK", "UNAVAILABLE"
LONGEST_REASON = 200  # characters


class HandOverArguments(msgspec.Struct, frozen=True):
    """The tool's arguments.

    Attributes:
        reason: what the caller wants, in a few words.
        tracking_id: the parcel that it is about, if one is known.
    """

    reason: Annotated[str, msgspec.Meta(description="What the caller wants, in a few words.")] = ""
    tracking_id: Annotated[str, msgspec.Meta(description="The parcel that it is about, if one is known.")] = ""
