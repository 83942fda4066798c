"""The look-up tool as a language model sees it. One description for every front door."""

from typing import Any

NAME = "get_delivery_status"

DESCRIPTION = (
    "Look up where a parcel is. Returns JSON: `code`, `speech` (a true sentence to say), `data` (the facts)."
    " Say nothing about a parcel that is not in the result."
)

# The id is a string: as a number it would lose leading zeros, and its last digits beyond 2**53 (vapi-and-sanity, point 6).
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {
        "tracking_id": {
            "type": "string",
            "description": "The tracking number as the caller typed or said it, letters and digits.",
        },
        "candidates": {
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 16,
            "description": "When it may be heard in several ways: all readings, the likeliest first.",
        },
    },
    "required": ["tracking_id"],
}
