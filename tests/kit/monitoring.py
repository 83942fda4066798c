"""A real Prometheus and a real Alertmanager beside a server, started as a user starts them, but in a hurry.

The copy of `deploy/observability` that runs here scrapes and judges every second, and tells a receiver of each alert at once.
"""

import asyncio
import contextlib
import json
import math
import os
import re
import shutil
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from agentvoicebox.cli.local_server import free_port
from tests.kit.rules import FOLDER
from tests.kit.waiting import PATIENCE_S

SOON = "1s"
SHORT_WINDOWS = {"5m": "15s", "15m": "30s", "30m": "30s", "1h": "30s", "6h": "40s", "3d": "40s"}
WINDOW = re.compile(r"(?<=[\[ ])\d+[mhd]\b")  # of a range or an offset; not in the name of a recorded rate
MOST_BYTES = 1_000_000


class Receiver:
    """Takes what Alertmanager sends to webhooks.

    Attributes:
        told: (alert, `firing` or `resolved`, labels), in the order in which they came.
    """

    def __init__(self) -> None:
        self.told: list[tuple[str, str, dict[str, str]]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One POST."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length:")[2].split()[0])
        assert length < MOST_BYTES
        for alert in json.loads(await reader.readexactly(length))["alerts"]:
            self.told.append((alert["labels"]["alertname"], alert["status"], alert["labels"]))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    def states(self, alert: str, **labels: str) -> list[str]:
        """What was told of an alert with these labels."""
        return [state for name, state, found in self.told if name == alert and labels.items() <= found.items()]


class Monitoring:
    """Both, running.

    Attributes:
        url: of Prometheus.
        receiver: what Alertmanager tells.
    """

    def __init__(self, url: str, receiver: Receiver, client: httpx.AsyncClient) -> None:
        self.url = url
        self.receiver = receiver
        self._client = client

    async def read(self, path: str, **parameters: str) -> Any:
        """The data of an answer of Prometheus's API."""
        answer = await self._client.get(f"{self.url}/api/v1/{path}", params=parameters)
        body = answer.json()
        assert body["status"] == "success", f"{parameters}: {body}"
        return body["data"]

    async def values(self, expression: str) -> list[float]:
        """What a query gives now, without what is no number."""
        result = (await self.read("query", query=expression))["result"]
        return [value for each in result if math.isfinite(value := float(each["value"][1]))]


def _in_a_hurry(folder: Path, receiver_port: int, hurried: Collection[str], has_short_windows: bool) -> None:
    """Change the copy of the files, as described above."""
    path = folder / "prometheus" / "prometheus.yml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["global"] = dict.fromkeys(("scrape_interval", "scrape_timeout", "evaluation_interval"), SOON)
    for job in config["scrape_configs"]:
        for each in job.get("file_sd_configs", ()):
            each["refresh_interval"] = SOON
    # with quotes around every string, as in the file that start.sh expects
    path.write_text(yaml.safe_dump(config, default_style='"'), encoding="utf-8")
    for rules in (folder / "prometheus" / "rules").glob("*.yml"):
        whole = yaml.safe_load(rules.read_text(encoding="utf-8"))
        for group in whole["groups"]:
            for rule in group["rules"]:
                if "for" in rule and rule["alert"] in hurried:
                    rule["for"] = SOON
                if has_short_windows:
                    rule["expr"] = WINDOW.sub(lambda found: SHORT_WINDOWS[found[0]], rule["expr"])
        rules.write_text(yaml.safe_dump(whole), encoding="utf-8")
    path = folder / "alertmanager" / "alertmanager.yml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    for route in (config["route"], *config["route"]["routes"]):
        route |= {"group_wait": "0s", "group_interval": SOON}
    for each in config["receivers"]:
        each["webhook_configs"] = [{"url": f"http://127.0.0.1:{receiver_port}/", "send_resolved": True}]
    path.write_text(yaml.safe_dump(config), encoding="utf-8")


@asynccontextmanager
async def monitoring(
    folder: Path, data_dir: Path, *, hurried_alerts: Collection[str], has_short_windows: bool = False
) -> AsyncIterator[Monitoring]:
    """Watch the server with this data folder for the duration of the block.

    Args:
        folder: for their configuration and data; empty.
        hurried_alerts: they wait a second; all others as long as their files say.
        has_short_windows: rates are taken over less than a minute.
    """
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(server.wait_closed)
        stack.callback(server.close)
        await asyncio.to_thread(shutil.copytree, FOLDER, folder / "observability")
        receiver_port = server.sockets[0].getsockname()[1]
        await asyncio.to_thread(_in_a_hurry, folder / "observability", receiver_port, hurried_alerts, has_short_windows)
        ports = {"PROMETHEUS_PORT": str(free_port()), "ALERTMANAGER_PORT": str(free_port())}
        places = {"AVB_DATA_DIR": str(folder / "data"), "AVB_TARGETS_DIR": str(data_dir / "targets")}
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                folder / "observability" / "start.sh",
                env={**os.environ, **ports, **places},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        stack.push_async_callback(_stop, process)
        client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S))
        await _until_ready(client, process, ports.values(), folder / "log")
        yield Monitoring(f"http://127.0.0.1:{ports['PROMETHEUS_PORT']}", receiver, client)


async def _until_ready(client: httpx.AsyncClient, process: Process, ports: Any, log: Path) -> None:
    async with asyncio.timeout(PATIENCE_S):
        for port in ports:
            while True:
                assert process.returncode is None, await asyncio.to_thread(log.read_text)
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"http://127.0.0.1:{port}/-/ready")).is_success:
                        break
                await asyncio.sleep(0.1)


async def _stop(process: Process) -> None:
    """As Ctrl-C does. Fails when something is left of it."""
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        await process.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 0)
        os.killpg(process.pid, signal.SIGKILL)
        raise AssertionError("start.sh left a process behind")
