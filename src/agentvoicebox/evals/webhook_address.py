"""The address of a webhook server under test, and the route that each recorded request belongs to.

Decides what a given address means: the base of all routes, or one route.
"""

from urllib.parse import urlsplit, urlunsplit

import msgspec

from agentvoicebox.errors import ClientError
from agentvoicebox.interactions.interaction import Interaction
from agentvoicebox.kits.evaluation import KitEvaluation

VAPI_ROUTE = "/vapi/webhook"
TOOL_ROUTE = "/v1/tools/"


class BadAddress(ClientError):
    """The text is not an address that requests can be posted to."""

    code = "bad_address"


class WebhookAddress(msgspec.Struct, frozen=True):
    """Where recorded requests are posted.

    Attributes:
        base: without a slash at its end; a request's route is appended.
        only: the complete address of the voice platform's route, to which no other request is posted; "" if all routes are
            below `base`.
    """

    base: str
    only: str = ""

    def url_of(self, route: str) -> str:
        """The address for requests of a route; "" if the given address is that of another route."""
        if not self.only:
            return self.base + route
        return self.only if route == VAPI_ROUTE else ""


def read_address(text: str, routes: frozenset[str]) -> WebhookAddress:
    """What an address means.

    One without a path, or with a path that ends in a slash, is the base of all routes (`http://host:8001`,
    `https://proxy/agent/`); so is one that ends in a known route, without that route. Any other is the complete address of the
    voice platform's route.

    Args:
        text: the address as given; without a scheme, `http` is meant.
        routes: those of the recorded requests.

    Raises:
        BadAddress: it is not an HTTP address.
    """
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise BadAddress(f"{text!r} is not the address of a webhook server; an example is http://127.0.0.1:8001")
    path = parts.path

    def address(path: str) -> str:
        return urlunsplit((parts.scheme, parts.netloc, path, "", ""))

    if path.endswith("/") or not path:
        return WebhookAddress(address(path.rstrip("/")))
    known = next((route for route in sorted(routes | {VAPI_ROUTE}) if path.endswith(route)), "")
    if known:
        return WebhookAddress(address(path.removesuffix(known)))
    return WebhookAddress("", urlunsplit((parts.scheme, parts.netloc, path, parts.query, "")))


def route_of(interaction: Interaction, evaluation: KitEvaluation) -> str:
    """The path that a recorded request was posted to. Recordings of earlier versions don't name it, so it is concluded."""
    if interaction.route:
        return interaction.route
    if interaction.channel == "webhook":
        return VAPI_ROUTE
    is_tools_route = isinstance(interaction.answer, dict) and "output" in interaction.answer
    if is_tools_route or not evaluation.rest_route:
        name = interaction.tool_calls[0].name if interaction.tool_calls else ""
        return TOOL_ROUTE + evaluation.tool_name(name)
    return evaluation.rest_route
