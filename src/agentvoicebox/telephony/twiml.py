"""What Twilio is answered: scripts in TwiML."""

from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
SORRY = "Sorry, we can't take your call at the moment. Please try again in a few minutes."


def connect(stream_url: str, after_url: str, parameters: Mapping[str, str]) -> str:
    """Connect the call to the media socket, both ways; afterwards ask `after_url` what to do."""
    named = "".join(
        f"<Parameter name={quoteattr(name)} value={quoteattr(value)}/>" for name, value in parameters.items()
    )
    stream = f"<Stream url={quoteattr(stream_url)}>{named}</Stream>"
    return f"{_HEAD}<Response><Connect action={quoteattr(after_url)}>{stream}</Connect></Response>"


def dial(number: str) -> str:
    """Pass the caller to a telephone number or a SIP address."""
    target = f"<Sip>{escape(number)}</Sip>" if number.startswith("sip:") else f"<Number>{escape(number)}</Number>"
    return f"{_HEAD}<Response><Dial>{target}</Dial></Response>"


def apologise() -> str:
    """Say that the call can't be taken, and hang up."""
    return f"{_HEAD}<Response><Say>{escape(SORRY)}</Say><Hangup/></Response>"


def hang_up() -> str:
    """End the call."""
    return f"{_HEAD}<Response><Hangup/></Response>"
