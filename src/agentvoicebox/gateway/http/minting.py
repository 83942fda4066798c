"""The routes that mint ephemeral secrets: the current one, and two retired ones that clients still use (realtime-protocol §1.3).

`admission.secret_bodies` decides what a body may contain. Minting needs the right `client_secrets`.
"""

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from pydantic import BaseModel

from agentvoicebox.gateway.admission.call_admission import new_session_id
from agentvoicebox.gateway.admission.handshake import subprotocols_in
from agentvoicebox.gateway.admission.secret_bodies import (
    Kind,
    SecretRequest,
    answer_beta_session,
    answer_client_secrets,
    read_beta_session,
    read_client_secrets,
)
from agentvoicebox.gateway.http.credentials import KEYED
from agentvoicebox.gateway.http.json_body import read_json
from agentvoicebox.gateway.http.minting_bodies import BetaSessionAsked, BetaSessionBody, SecretAsked, SecretBody
from agentvoicebox.gateway.http.source import source_of_connection
from agentvoicebox.gateway.state import GatewayState
from agentvoicebox.http_server.described import answered, refusals

Read = Callable[[object], SecretRequest]
Answer = Callable[[SecretRequest, str, int], dict[str, Any]]


def add_minting(app: FastAPI, state: GatewayState) -> None:
    """Add the routes."""
    agents = state.agents

    async def mint(request: Request, read: Read, answer: Answer) -> dict[str, Any]:
        source = source_of_connection(state, request)
        shown = subprotocols_in(request.headers)  # see `authorization.authorize`
        authorization = await state.admission.authorize(request.headers, shown, right="client_secrets", source=source)
        await state.tenant_pace.wait(authorization.principal.tenant_id)
        asked = read(await read_json(request))
        value, expires_at = await state.admission.secrets.mint(
            authorization.principal, asked.session, asked.seconds, max_sessions=asked.max_sessions
        )
        return answer(asked, value, expires_at)

    def read_current(body: object) -> SecretRequest:
        return read_client_secrets(body, agents=agents, session_id=new_session_id(), support=state.support)

    def read_beta(kind: Kind) -> Read:
        return lambda body: read_beta_session(
            body, kind=kind, agents=agents, session_id=new_session_id(), support=state.support
        )

    refused = {**KEYED, **refusals(400, 413)}
    described: dict[str, Any] = {"tags": ["secrets"], "response_model": None}
    beta = {**refused, **answered(BetaSessionBody, "The session, with its secret.")}

    @app.post(
        "/v1/realtime/client_secrets",
        summary="An ephemeral secret, with which a browser opens sessions",
        responses={**refused, **answered(SecretBody, "The secret.")},
        openapi_extra=_body(SecretAsked),
        **described,
    )
    async def client_secrets(request: Request) -> dict[str, Any]:
        return await mint(request, read_current, answer_client_secrets)

    @app.post(
        "/v1/realtime/sessions",
        summary="The same, as it was in beta",
        responses=beta,
        openapi_extra=_body(BetaSessionAsked),
        **described,
    )
    async def beta_session(request: Request) -> dict[str, Any]:
        return await mint(request, read_beta("realtime"), answer_beta_session)

    @app.post(
        "/v1/realtime/transcription_sessions",
        summary="The same for a transcription session, as it was in beta",
        responses=beta,
        openapi_extra=_body(BetaSessionAsked),
        **described,
    )
    async def beta_transcription_session(request: Request) -> dict[str, Any]:
        return await mint(request, read_beta("transcription"), answer_beta_session)


def _body(model: type[BaseModel]) -> dict[str, Any]:
    """The description of a body that may be left out."""
    schema = model.model_json_schema()
    for name, part in schema.pop("$defs", {}).items():  # used once each, so written in its place
        schema = _in_place(schema, f"#/$defs/{name}", part)
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def _in_place(value: Any, reference: str, part: dict[str, Any]) -> Any:
    match value:
        case {"$ref": str(named)} if named == reference:
            return part
        case dict():
            return {key: _in_place(each, reference, part) for key, each in value.items()}
        case list():
            return [_in_place(each, reference, part) for each in value]
        case _:
            return value
