"""The rules evaluated by an OPA server, over its Data API.

One request is one POST; nothing is retried, because a caller waits, and a breaker pauses requests to a failing server.
"""

import asyncio

import httpx
import msgspec

from agentvoicebox.clock import Clock, SystemClock
from agentvoicebox.errors import PolicyLost
from agentvoicebox.policy.answer import read_decision
from agentvoicebox.policy.bundle import ENTRY
from agentvoicebox.ports.policy import Decision, PolicyRequest
from agentvoicebox.resilience.breaker import Breaker, BreakerPolicy, BreakerState

ANSWER_WITHIN_S = 1.0
MOST_BYTES = 65_536
CONNECTIONS = 32
REST = BreakerPolicy(failures_to_open=3, open_s=2.0, probe_s=2.0)
HINT = "is it running, and is AVB_OPA_URL correct?"


class OpaPolicy:
    """Implements ports.policy.

    Args:
        url: of the server, without a path (`http://127.0.0.1:8181`).
        token: for `Authorization: Bearer`; empty: none is sent.
    """

    def __init__(
        self, url: str, *, token: str = "", answer_within_s: float = ANSWER_WITHIN_S, clock: Clock | None = None
    ) -> None:
        self._url = f"{url.rstrip('/')}/v1/data/{ENTRY}"
        self._answer_within_s = answer_within_s
        self._clock = clock or SystemClock()
        self._breaker = Breaker(REST)
        self._version = ""
        self._client = httpx.AsyncClient(
            headers={"authorization": f"Bearer {token}"} if token else {},
            timeout=None,  # see _post
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            follow_redirects=False,
            trust_env=False,  # answers of a proxy from the environment must not count as policy
        )

    @property
    def version(self) -> str:
        """See ports.policy. The server's bundles and their revisions; constant where it has none."""
        return self._version

    @property
    def breaker(self) -> BreakerState:
        """See ports.policy."""
        return self._breaker.state(self._clock.monotonic_s())

    async def decide(self, request: PolicyRequest) -> Decision:
        """See ports.policy."""
        self._breaker, may_ask = self._breaker.admit(self._clock.monotonic_s())
        if not may_ask:
            raise PolicyLost(f"The OPA server failed repeatedly and is paused for now; {HINT}")
        try:
            answer = await self._post(request)
            decision = self._read(answer)
        except PolicyLost:
            self._breaker = self._breaker.failed(self._clock.monotonic_s())
            raise
        except BaseException:
            self._breaker = self._breaker.released()
            raise
        self._breaker = self._breaker.succeeded()
        return decision

    async def close(self) -> None:
        """See ports.policy."""
        await self._client.aclose()

    async def _post(self, question: PolicyRequest) -> bytes:
        body = msgspec.json.encode({"input": question.to_input()})
        headers = {"content-type": "application/json"}
        got = bytearray()
        try:
            async with (
                asyncio.timeout(self._answer_within_s),  # httpx's own timeouts count each read separately
                self._client.stream(
                    "POST", self._url, params={"provenance": "true"}, content=body, headers=headers
                ) as response,
            ):
                async for part in response.aiter_bytes():
                    if len(got) <= MOST_BYTES:  # the rest is read and discarded
                        got += part
        except TimeoutError as error:
            raise PolicyLost(f"The OPA server did not answer in time; {HINT}") from error
        except httpx.HTTPError as error:
            raise PolicyLost(f"The OPA server can't be reached ({type(error).__name__}); {HINT}") from error
        if len(got) > MOST_BYTES:
            raise PolicyLost("The OPA server's answer is too long.", code="bad_policy_answer")
        if response.status_code in (401, 403):
            raise PolicyLost("The OPA server refuses the credentials; set AVB_OPA_TOKEN to a token that it accepts.")
        if response.status_code != httpx.codes.OK:
            raise PolicyLost(f"The OPA server answered with status {response.status_code}; its log says why.")
        return bytes(got)

    def _read(self, answer: bytes) -> Decision:
        try:
            body = msgspec.json.decode(answer, type=dict)
        except msgspec.DecodeError as error:
            raise PolicyLost(
                f"The server at AVB_OPA_URL is not an OPA server; {HINT}", code="bad_policy_answer"
            ) from error
        if "result" not in body:
            raise PolicyLost(
                f"The OPA server has no rule {ENTRY}: load the folder that `agentvoicebox policy export` writes.",
                code="bad_policy_answer",
            )
        provenance = body.get("provenance")
        bundles = provenance.get("bundles") if isinstance(provenance, dict) else None
        self._version = msgspec.json.encode(bundles, order="sorted").decode() if isinstance(bundles, dict) else ""
        return read_decision(body["result"])
