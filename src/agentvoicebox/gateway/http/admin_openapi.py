"""`python -m agentvoicebox.gateway.http.admin_openapi`: the OpenAPI 3.1 document of `/v1/admin/…`, generated from the routes.

A copy is in `docs/reference/openapi-admin.json`; a test compares it with the code.
"""

import json
import sys
from typing import Any, cast

from fastapi import FastAPI, Request

from agentvoicebox import __version__
from agentvoicebox.errors import BadCredentials
from agentvoicebox.gateway.http.admin import admin_routes
from agentvoicebox.policy.decisions import Decisions, open_policy
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.principal import Principal


def admin_openapi() -> dict[str, Any]:
    """The document. Needs no connection."""
    app = FastAPI(title="AgentVoiceBox administration", version=__version__)
    app.include_router(admin_routes(Postgres(cast(Any, None)), Decisions(open_policy()), _refuse))
    return app.openapi()


def as_text(document: dict[str, Any]) -> str:
    """As it is stored in the file."""
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


async def _refuse(request: Request) -> Principal:
    raise BadCredentials("This application is a description.")


if __name__ == "__main__":
    sys.stdout.write(as_text(admin_openapi()))
