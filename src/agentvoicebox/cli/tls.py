"""`agentvoicebox tls`: makes a certificate for a server that has none, and prints how clients are made to trust it."""

import datetime
import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated

import typer

from agentvoicebox.cli.console import console
from agentvoicebox.errors import SettingsError
from agentvoicebox.http_server.tls import LOCAL_NAMES, self_signed

CERT, KEY = "cert.pem", "key.pem"
HOST_NAME = re.compile(r"(\*\.)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def tls(
    name: Annotated[
        list[str] | None,
        typer.Option(help="Host name or address that clients use, besides localhost; repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the two files.")] = Path("tls"),
    days: Annotated[int, typer.Option(min=1, max=3_650, help="For how long it is valid.")] = 365,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> None:
    """Make a self-signed certificate and its key, and print the settings that use them.

    OpenAI's client for Node, and some others, connect only over TLS. A server that other machines can reach needs a certificate
    of an authority instead, here or at a proxy in front of it.
    """
    names = list(dict.fromkeys([*(name or ()), *LOCAL_NAMES]))
    if bad := [each for each in names if not _is_host(each)]:
        raise SettingsError(f"--name: {bad[0]!r} is not a host name or an address")
    there = [path for path in (out / CERT, out / KEY) if path.exists()]
    if there and not force:
        raise SettingsError(f"{there[0]} exists already; --force replaces it, --out chooses another folder")
    certificate, key = self_signed(names, days=days, now=datetime.datetime.now(datetime.UTC))
    try:
        out.mkdir(parents=True, exist_ok=True)
        _write(out / KEY, key, 0o600)
        _write(out / CERT, certificate, 0o644)
    except OSError as error:
        raise SettingsError(f"--out: {error.filename or out} can't be written: {error.strerror}") from error
    _explain(out.resolve(), names, days)


def _explain(folder: Path, names: list[str], days: int) -> None:
    cert, key = folder / CERT, folder / KEY
    console.print(f"A certificate for {', '.join(names)}, valid for {days} days. Start the server with it:\n")
    console.print(f"  AVB_TLS_CERT={cert} AVB_TLS_KEY={key} agentvoicebox serve\n", soft_wrap=True)
    console.print("How clients trust it:\n")
    console.print(f"  SSL_CERT_FILE={cert}          Python", soft_wrap=True)
    console.print(f"  NODE_EXTRA_CA_CERTS={cert}    Node", soft_wrap=True)
    console.print(f"  agentvoicebox call --url https://{names[0]}:8000/v1 --ca {cert}", soft_wrap=True)


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return HOST_NAME.fullmatch(name) is not None
    return True


def _write(path: Path, data: bytes, mode: int) -> None:
    """Write a file that was never readable for others than `mode` says."""
    path.unlink(missing_ok=True)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(data)
