"""The load suite on a whole cluster, watched by a real Prometheus: what the callers notice, and the dashboards of that time.

    python benchmarks/cluster_load.py [--calls 100] [--seconds 120] [--engines scripted|real] [--out DIR]

Three gateways, two of each worker, Valkey and PostgreSQL on this machine; `make load` calls the gateways. Needs `.venv-load`
(`make load` installs it) and Debian's packages prometheus and prometheus-alertmanager. Takes the ramp, the seconds, and a minute.
Writes the reports of the load suite and a picture of each dashboard into --out (benchmarks/results/cluster).
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1]))  # the cluster lives with the tests

from tests.kit.cluster import SCRIPTED, cluster

from agentvoicebox.cli.local_server import free_port

ROOT = Path(__file__).parents[1]
MODELS = Path("var/models").resolve()  # prepared voices are kept where `serve` keeps them
CALLS_OF_A_GATEWAY = 100
SCRAPE_S = 15.0


@asynccontextmanager
async def observability(data: Path, targets: Path, port: int) -> AsyncIterator[None]:
    """Prometheus and Alertmanager as `make observability` starts them, for the duration of the block."""
    environment = {
        **os.environ,
        "AVB_DATA_DIR": str(data),
        "AVB_TARGETS_DIR": str(targets),
        "PROMETHEUS_PORT": str(port),
        "ALERTMANAGER_PORT": str(free_port()),
    }
    process = await asyncio.create_subprocess_exec(
        ROOT / "deploy/observability/start.sh", env=environment, start_new_session=True
    )
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def run(calls: int, seconds: float, engines: str, out: Path) -> int:
    """The exit code of the load suite."""
    settings = {"AVB_MAX_CALLS": str(CALLS_OF_A_GATEWAY), **(SCRIPTED if engines == "scripted" else {})}
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="avb-cluster-") as folder:
        targets = Path(folder) / "targets"
        async with (
            cluster(
                Path(folder) / "cluster", settings={**settings, "AVB_TARGETS_DIR": str(targets)}, models_cache=MODELS
            ) as made,
            observability(Path(folder) / "watched", targets, port),
        ):
            gateways = ",".join(f"http://127.0.0.1:{node.port}/v1" for node in made.gateways)
            load: Process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "benchmarks.load", "--url", gateways, "--calls", str(calls)),
                *("--seconds", str(seconds), "--out", str(out)),
                cwd=ROOT,
            )
            status = await load.wait()
            await asyncio.sleep(SCRAPE_S)  # until the end has been scraped
            pictures = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.kit.dashboards.pictures", "--prometheus", f"http://127.0.0.1:{port}"),
                *("--minutes", str((seconds + calls / 5 + 2 * SCRAPE_S) / 60), "--out", str(out)),
                cwd=ROOT,
            )
            return status or await pictures.wait()


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100, help="calls at once (100)")
    parser.add_argument("--seconds", type=float, default=120.0, help="measured after the ramp (120)")
    parser.add_argument(
        "--engines", choices=("scripted", "real"), default="scripted", help="scripted ones answer at once (default)"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/cluster"), help="folder of the reports")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    sys.exit(uvloop.run(run(given.calls, given.seconds, given.engines, given.out)))


if __name__ == "__main__":
    main()
