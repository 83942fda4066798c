"""What a client set and does not get: notes that a session shows beside its settings.

An update is applied as far as this server can; what it can't do is named here, so that nothing is echoed as if it were in force.
"""

import msgspec


class SessionNote(msgspec.Struct, frozen=True):
    """One thing that is not in force.

    Attributes:
        code: machine-readable, stable; docs/reference/errors.md lists them.
        message: for people: what happens instead, and how to change that.
        param: dotted path of the field (`session.tools[1]`).
    """

    code: str
    message: str
    param: str


NOTES = {
    "instructions_not_followed": "The agent follows rules of its own; the client's instructions have no effect.",
    "tools_not_used": "The agent calls its own tools, and of the client's only those that it knows, or none.",
    "mcp_not_served": "A tool of an MCP server, or the choice of one, was left out.",
    "language_not_known": "The recogniser does not know the language, and hears another one.",
    "voice_not_installed": "The agent's voice is not there; the default voice speaks.",
    "no_effect": "The field is kept and shown, and changes nothing here.",
}
"""All codes, with what they mean."""
