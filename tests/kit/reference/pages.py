"""Which pages are generated."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from agentvoicebox.wire import faults
from tests.kit.reference import (
    agent_files,
    asyncapi,
    client_events,
    decisions,
    extensions,
    metrics_page,
    openapi,
    rest,
    rest_pages,
    server_events,
    session,
    settings_page,
)

FOLDER = Path(__file__).parents[3] / "docs" / "reference"


def _openapi(name: str) -> str:
    return openapi.as_text(openapi.documents()[name])


PAGES: Mapping[str, Callable[[], str]] = {
    "client-events.md": client_events.page,
    "server-events.md": server_events.page,
    "session.md": session.page,
    "extensions.md": extensions.page,
    "agent-files.md": agent_files.page,
    "settings.md": settings_page.page,
    "metrics.md": metrics_page.page,
    "rest.md": rest.page,
    "errors.md": faults.page,
    "../adr/README.md": decisions.page,
    asyncapi.FILE: lambda: openapi.as_text(asyncapi.document()),
    **{name: partial(_openapi, name) for name in openapi.NAMES},
    **{name: partial(rest_pages.page, document) for document, name in rest_pages.PAGES.items()},
}
