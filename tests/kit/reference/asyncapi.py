"""`docs/reference/asyncapi.json`: every event of `/v1/realtime` as an AsyncAPI document, from the types of the wire."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from posixpath import normpath
from typing import Any

import msgspec
from msgspec import UNSET

from agentvoicebox import __version__
from agentvoicebox.gateway.http.credentials import KEYS
from agentvoicebox.http_server.described import LICENCE
from agentvoicebox.wire.session_shapes import (
    OutputChange,
    RealtimeSession,
    SessionChange,
    TranscriptionSession,
    explain,
)
from tests.kit.reference import client_events, extensions, server_events
from tests.kit.reference.docstrings import summary
from tests.kit.reference.event_examples import client_example, server_examples
from tests.kit.reference.shapes import Struct, fields_of, meaning_of, tag_of
from tests.kit.reference.trace_shapes import TurnLedger

Json = dict[str, Any]

FILE = "asyncapi.json"
REF = "#/components/schemas/{name}"
EXTENSION = "x-agentvoicebox-extension"
OURS = "agentvoicebox."  # begins the type of our own events
OUR_FIELDS = {
    "RealtimeSession": ("degraded", "notes"),
    "TranscriptionSession": ("degraded", "notes"),
    "SessionCreated": ("agentvoicebox",),
}
OUR_QUERY = set(extensions.QUERY) - {"model", "intent"}
NUMBERS = {"audio_from_ms", "audio_until_ms"}
LINK = re.compile(r"\[(?P<text>[^]]*)\]\((?P<path>[^)#]+)[^)]*\)")
ABOUT = """The events of OpenAI's Realtime protocol as this server speaks it: one JSON object in each text frame.

What is beyond OpenAI's protocol is marked with `x-agentvoicebox-extension`. The retired beta's spelling is accepted as well; this
document has the present one. A client's field that its schema does not have is refused with the error `unknown_parameter`.

A request without a key gets an HTTP 401 instead of the upgrade. Every other refusal comes after it: one `error` event, then the
close, whose codes `docs/reference/errors.md` lists. A plain GET of the address is answered with 426."""


@cache
def document() -> Json:
    """The document."""
    client, server = client_events.EVENTS, server_events.EVENTS
    schemas = _schemas([*client, *server])
    examples = {tag_of(kind): client_example(tag_of(kind)) for kind in client} | server_examples()
    messages = {tag_of(kind): _message(kind, examples) for kind in (*client, *server)}
    by_side = {"Client": [tag_of(kind) for kind in client], "Server": [tag_of(kind) for kind in server]}
    return {
        "asyncapi": "3.1.0",
        "info": {
            "title": "AgentVoiceBox Realtime",
            "version": __version__,
            "description": ABOUT,
            "license": {"name": LICENCE["name"], "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "local": {
                "host": "127.0.0.1:8000",
                "protocol": "ws",
                "description": "`agentvoicebox serve` on this machine.",
                "security": _security(),
            },
            "tls": {
                "host": "{host}",
                "protocol": "wss",
                "description": "Over TLS.",
                "variables": {"host": {"default": "voice.example", "description": "Your server, or its proxy."}},
                "security": _security(),
            },
        },
        "channels": {
            "realtime": {
                "address": "/v1/realtime",
                "title": "A session",
                "description": "One connection is one session. It begins with `session.created`, or after a resume with "
                "`agentvoicebox.resumed`. `/realtime`, `/openai/v1/realtime` and `/openai/realtime` are the same.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET", "query": _query(), "bindingVersion": "0.1.0"}},
            }
        },
        "operations": {
            f"{verb}{side}Events": {
                "action": action,
                "channel": {"$ref": "#/channels/realtime"},
                "summary": f"Events of the {side.lower()}.",
                "messages": [{"$ref": f"#/channels/realtime/messages/{name}"} for name in by_side[side]],
            }
            for side, verb, action in (("Client", "receive", "receive"), ("Server", "send", "send"))
        },
        "components": {"messages": messages, "schemas": schemas, "securitySchemes": _schemes()},
    }


def schema_of(kind: str) -> Json:
    """The schema of an event by its type, complete in itself."""
    found = document()["components"]["messages"][kind]["payload"]
    return {**found, "components": {"schemas": document()["components"]["schemas"]}}


def _schemas(events: Sequence[Struct]) -> dict[str, Json]:
    more = [SessionChange, RealtimeSession, TranscriptionSession, TurnLedger, OutputChange]
    _, found = msgspec.json.schema_components([*events, *more], ref_template=REF)
    schemas: dict[str, Json] = {name: _plain(each) for name, each in found.items()}
    session = {"oneOf": [{"$ref": REF.format(name=name)} for name in ("RealtimeSession", "TranscriptionSession")]}
    for kind, name, schema in (
        ("SessionUpdate", "session", {"$ref": REF.format(name="SessionChange")}),
        ("SessionCreated", "session", session),
        ("SessionUpdated", "session", session),
        ("TurnTrace", "turn", {"$ref": REF.format(name="TurnLedger")}),
        # Read field by field, so the types of the wire are wider than what is accepted, or narrower.
        ("AudioOutputOptions", "format", schemas["OutputChange"]["properties"]["format"]),
        ("AudioOutputOptions", "voice", schemas["OutputChange"]["properties"]["voice"]),
        ("ResponseOptions", "tools", schemas["SessionChange"]["properties"]["tools"]),
        ("ResponseOptions", "tool_choice", schemas["SessionChange"]["properties"]["tool_choice"]),
    ):
        schemas[kind]["properties"][name] = schema
    _require(schemas)
    _explain(schemas)
    for kind, names in OUR_FIELDS.items():
        for name in names:
            schemas[kind]["properties"][name][EXTENSION] = True
    return schemas


def _require(schemas: dict[str, Json]) -> None:
    """What only the server sends always has each key, but for those that do not apply."""
    for kind in {*server_events.EVENTS, *server_events.SHAPES} - {*client_events.EVENTS, *client_events.SHAPES}:
        tag = ["type"] if tag_of(kind) else []
        fields = msgspec.structs.fields(kind)
        schemas[kind.__name__]["required"] = tag + [each.name for each in fields if each.default is not UNSET]


def _explain(schemas: dict[str, Json]) -> None:
    """Give fields the sentences of the reference's pages, or of the docstrings."""
    for schema in schemas.values():
        explain(schema)
    for kinds, said in (
        ([*client_events.EVENTS, *client_events.SHAPES], client_events.SAID),
        ([*server_events.EVENTS, *server_events.SHAPES], server_events.SAID),
    ):
        for kind in kinds:
            for field in fields_of(kind):
                _describe(schemas[kind.__name__]["properties"][field.name], meaning_of(kind, field.name, said))
    for kind in (*client_events.EVENTS, *server_events.EVENTS, *client_events.SHAPES, *server_events.SHAPES):
        schemas[kind.__name__]["description"] = _unlinked(summary(kind))


def _describe(schema: Json, sentence: str) -> None:
    if "$ref" not in schema:
        schema["description"] = _unlinked(sentence)


def _message(kind: Struct, examples: Mapping[str, Json]) -> Json:
    name = tag_of(kind)
    is_client = kind in client_events.EVENTS
    does = client_events.DOES if is_client else server_events.DOES | server_events.NOT_SENT
    made: Json = {
        "name": name,
        "title": name,
        "summary": summary(kind).partition("\n")[0],
        "contentType": "application/json",
        "payload": {"$ref": REF.format(name=kind.__name__)},
        "examples": [{"name": name.replace(".", "_"), "payload": examples[name]}],
    }
    if name in does:
        made["description"] = _unlinked(does[name])
    if name.startswith(OURS):
        made[EXTENSION] = True
    return made


def _query() -> Json:
    properties: Json = {}
    for name, meaning in extensions.QUERY.items():
        properties[name] = {
            "type": "integer" if name in NUMBERS else "string",
            "description": _unlinked(meaning),
        } | ({EXTENSION: True} if name in OUR_QUERY else {})
    properties["intent"]["enum"] = ["transcription"]
    return {"type": "object", "properties": properties}


def _security() -> list[Json]:
    return [{"$ref": f"#/components/securitySchemes/{name}"} for name in _schemes()]


def _schemes() -> Json:
    return {
        "bearer": KEYS["bearer"],
        "api-key": {**KEYS["api-key"], "type": "httpApiKey"},
        "subprotocol": {
            "type": "httpApiKey",
            "in": "header",
            "name": "Sec-WebSocket-Protocol",
            "description": "For browsers: `realtime, openai-insecure-api-key.KEY`; KEY is an ephemeral secret (`ek_…`).",
        },
    }


def _plain(value: Any) -> Any:
    """Without OpenAPI's discriminators, since each variant names its own `type`, and without a default beside a reference."""
    match value:
        case {"$ref": reference}:
            return {"$ref": reference}
        case dict():
            return {key: _plain(each) for key, each in value.items() if key != "discriminator"}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value


def _unlinked(sentence: str) -> str:
    """With the files that links of a page lead to, since a document has no place of its own."""
    return LINK.sub(
        lambda found: "{} ({})".format(found["text"], normpath("docs/reference/" + found["path"])), sentence
    )
