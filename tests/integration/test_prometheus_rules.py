"""Prometheus and Alertmanager take our files, and every alert fires for its cause and ends: by their own tools."""

import asyncio
from pathlib import Path

import pytest
import yaml
from tests.kit.rules import FOLDER, RULE_TESTS, needs_prometheus

pytestmark = [pytest.mark.requirement("A13"), needs_prometheus]

PROMETHEUS = FOLDER / "prometheus"


async def run(*command: str | Path) -> str:
    """The output of a program. Fails with it unless the program ends well."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.parametrize("name", ["prometheus.yml", "discovery/dns.yml"])
async def test_prometheus_takes_a_configuration(name: str) -> None:
    assert "SUCCESS" in await run("promtool", "check", "config", PROMETHEUS / name)


async def test_prometheus_takes_what_is_done_with_the_pods_of_kubernetes(tmp_path: Path) -> None:
    """Debian builds Prometheus without Kubernetes, so a list of targets stands in for its pods."""
    sample = yaml.safe_load((PROMETHEUS / "discovery" / "kubernetes.yml").read_text(encoding="utf-8"))
    (job,) = sample["scrape_configs"]
    (pods,) = job.pop("kubernetes_sd_configs")
    assert pods == {"role": "pod", "namespaces": {"own_namespace": True}}
    job["static_configs"] = [{"targets": ["127.0.0.1:8004"]}]
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(sample), encoding="utf-8")
    assert "SUCCESS" in await run("promtool", "check", "config", tmp_path / "kubernetes.yml")


@pytest.mark.parametrize("path", RULE_TESTS, ids=lambda path: path.stem)
async def test_alerts_fire_for_their_cause_and_end(path: Path) -> None:
    await run("promtool", "test", "rules", path)


async def test_alertmanager_takes_the_sample() -> None:
    assert "2 receivers" in await run("amtool", "check-config", FOLDER / "alertmanager" / "alertmanager.yml")


async def test_a_page_goes_to_another_receiver_than_a_ticket() -> None:
    file = f"--config.file={FOLDER / 'alertmanager' / 'alertmanager.yml'}"
    for severity, receiver in (("page", "pages"), ("ticket", "tickets")):
        assert (await run("amtool", "config", "routes", "test", file, f"severity={severity}")).split()[-1] == receiver
