"""`agentvoicebox health`: asks a running server whether it lives, for health checks of containers and service managers."""

import http.client
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Annotated

import typer

from agentvoicebox.cli.console import FAILED, console, show_error
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.loopback import own_address
from agentvoicebox.settings import Settings

TIMEOUT_S = 5.0
PORTS = ("gateway_internal_port", "worker_internal_port", "internal_port")  # their settings

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine needs no proxy


def health(
    url: Annotated[
        str | None, typer.Argument(help="Address to ask, such as http://127.0.0.1:8003/ready; by default see below.")
    ] = None,
) -> None:
    """Ask the roles that run here whether they live: exit code 0 if so, 1 if not.

    By default the internal ports of the settings are asked: AVB_GATEWAY_INTERNAL_PORT, AVB_WORKER_INTERNAL_PORT and
    AVB_INTERNAL_PORT on AVB_INTERNAL_HOST. One role at least must listen there, and each that does must answer 200.

      agentvoicebox health

      agentvoicebox health http://127.0.0.1:8003/ready
    """
    answers = {each: answer(each) for each in ([url] if url else _addresses(load_settings()))}
    heard = {each: said for each, said in answers.items() if said is not None}
    if not heard:
        show_error(f"no role answers at {' or '.join(answers)}")
        raise typer.Exit(FAILED)
    for address, status in heard.items():
        console.print(f"{address} {status}", soft_wrap=True)
    if any(status != http.client.OK for status in heard.values()):
        raise typer.Exit(FAILED)


def answer(url: str) -> int | None:
    """The status at an address; 0 if what listens does not answer within 5 s, None if nothing listens.

    Raises:
        ValueError: not an address.
    """
    try:
        with _opener.open(url, timeout=TIMEOUT_S) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ConnectionRefusedError) else 0
    except (OSError, http.client.HTTPException):  # it hangs, or is no server for HTTP
        return 0


def _addresses(settings: Settings) -> Iterator[str]:
    for name in PORTS:
        if port := getattr(settings, name):
            yield f"http://{own_address(settings.internal_host, port)}/health"
