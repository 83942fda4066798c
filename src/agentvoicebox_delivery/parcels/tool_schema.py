"""The look-up tool as a language model sees it. One description for all channels."""

from typing import Annotated, Any

import msgspec

NAME = "get_delivery_status"
ID = "tracking_id"

DESCRIPTION = (
    "Look up where a parcel is. Returns JSON: `code`, `speech` (a true sentence to say), `data` (the facts)."
    " Say nothing about a parcel that is not in the result."
)


class Arguments(msgspec.Struct, frozen=True):
    """The tool's arguments.

    Attributes:
        tracking_id: a string: a number would lose leading zeros, and its last digits beyond 2**53.
        candidates: readings of it, likeliest first.
        heard: the caller's own words for it, for each time it was said.
        ending: the caller's words for its last characters.
        refused: numbers that the caller rejected.
    """

    tracking_id: Annotated[
        str, msgspec.Meta(description="The tracking number as the caller typed or said it, letters and digits.")
    ]
    candidates: Annotated[
        list[str],
        msgspec.Meta(
            max_length=16,
            description="When it may be heard in several ways: all readings, the likeliest first.",
        ),
    ] = []
    heard: Annotated[
        list[str],
        msgspec.Meta(
            max_length=4,
            description="For a number that was spoken: the caller's own words for it, of each time it was said, the newest last."
            " The look-up then allows for mishearing, and may ask to confirm. Leave it out once the caller has said yes to the"
            " number read back.",
        ),
    ] = []
    ending: Annotated[
        str, msgspec.Meta(description="With `heard`: the last characters, when the caller was asked for them.")
    ] = ""
    refused: Annotated[
        list[str], msgspec.Meta(max_length=8, description="With `heard`: numbers that the caller has said no to.")
    ] = []


def _parameters() -> dict[str, Any]:
    _, parts = msgspec.json.schema_components((Arguments,))
    schema = parts["Arguments"]
    properties = {
        name: {key: value for key, value in each.items() if key != "default"}
        for name, each in schema["properties"].items()
    }
    return {"type": "object", "properties": properties, "required": schema["required"]}


PARAMETERS: dict[str, Any] = _parameters()
