"""`docs/reference/openapi-….json`: the REST API of each port, generated from its application.

The webhook server's documents are those with the delivery kit, all its routes included.
"""

import asyncio
import json
from collections.abc import Iterator
from functools import cache
from typing import Any, cast
from unittest.mock import MagicMock

from prometheus_client import CollectorRegistry

from agentvoicebox.gateway.http.app import ADMINISTRATION, create_app
from agentvoicebox.gateway.http.internal import create_internal_app
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.kits.services import KitServices
from agentvoicebox.webhook import app as webhook_app
from agentvoicebox.webhook import internal as webhook_internal
from agentvoicebox.webhook.role import build, metrics_of
from agentvoicebox_delivery.internal_routes import internal_router
from agentvoicebox_delivery.routes import notice_routes, track_route
from agentvoicebox_delivery.tool import delivery_status

Json = dict[str, Any]

NAMES = GATEWAY, ADMIN, GATEWAY_INTERNAL, WEBHOOK, WEBHOOK_INTERNAL = (
    "openapi-gateway.json",
    "openapi-admin.json",
    "openapi-gateway-internal.json",
    "openapi-webhook.json",
    "openapi-webhook-internal.json",
)
ABOUT_ADMIN = "Tenants, their projects, keys, usage and audit log, for holders of an admin key: docs/tenants.md."


@cache
def documents() -> dict[str, Json]:
    """Each document by the name of its file."""
    state = cast(Any, MagicMock())  # routes are described, none is called
    state.sessions.max_calls = 1
    public = create_app(state)
    whole = public.openapi()
    admin = _part(whole, is_admin=True)
    admin["info"] = {**admin["info"], "title": "AgentVoiceBox administration", "description": ABOUT_ADMIN}
    return {
        GATEWAY: _part(whole, is_admin=False),
        ADMIN: admin,
        GATEWAY_INTERNAL: create_internal_app(state, public).openapi(),
        **_webhook(),
    }


def as_text(document: Json) -> str:
    """As it is stored in the file."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _webhook() -> dict[str, Json]:
    registry, look_up = CollectorRegistry(), cast(Any, MagicMock())
    services = KitServices(
        tools=(delivery_status(look_up.find),),
        tool_routes=(track_route(),),
        notice_routes=notice_routes(look_up, "a secret, so that the route is there"),
    )
    metrics = metrics_of([services], registry)
    server = build(load_settings(), [services], metrics)
    internal = webhook_internal.create_internal_app([], [internal_router(look_up)], metrics, asyncio.Event())
    return {WEBHOOK: webhook_app.create_app(server).openapi(), WEBHOOK_INTERNAL: internal.openapi()}


def _part(document: Json, *, is_admin: bool) -> Json:
    """The administration's routes, or all others, with the schemas that they name."""
    paths = {path: each for path, each in document["paths"].items() if path.startswith(ADMINISTRATION) == is_admin}
    schemas, needed = document["components"]["schemas"], set(_names(paths))
    while more := {name for each in needed for name in _names(schemas[each])} - needed:
        needed |= more
    kept = {name: each for name, each in schemas.items() if name in needed}
    return {**document, "paths": paths, "components": {**document["components"], "schemas": kept}}


def _names(value: Any) -> Iterator[str]:
    """The schemas that a part of the document refers to."""
    match value:
        case dict():
            if isinstance(named := value.get("$ref"), str):
                yield named.rpartition("/")[2]
            for each in value.values():
                yield from _names(each)
        case list():
            for each in value:
                yield from _names(each)
