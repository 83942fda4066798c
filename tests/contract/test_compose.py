"""The compose file and the Dockerfiles: what their own tools say of them, and what the plan asks of each service."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from agentvoicebox import __version__
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.supervisor.roles import GATEWAY_DRAIN_S, ROLES, WORKER_DRAIN_S

pytestmark = pytest.mark.requirement("A17", "B4.4-4.6")

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "deploy" / "compose" / "compose.yaml"
EXAMPLE = ROOT / "deploy" / "compose" / "example.env"
DOCKERFILES = (ROOT / "deploy" / "images" / "Dockerfile", ROOT / "deploy" / "sanity-local" / "Dockerfile")
PLUGIN = Path("/usr/libexec/docker/cli-plugins/docker-compose")
MEMORY = {
    "gateway": "1g",
    "stt": "4g",
    "tts": "3g",
    "llm": "1g",
    "valkey": "2g",
    "postgres": "1g",
    "prometheus": "512m",
    "grafana": "512m",
}
SECRETS = {name: "a-secret" for name in ("AVB_API_KEYS", "VALKEY_PASSWORD", "POSTGRES_PASSWORD", "GRAFANA_PASSWORD")}
VARIABLE = re.compile(r"\$\{(\w+)(?::?[-?]([^}]*))?\}")


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found = yaml.safe_load(COMPOSE.read_text())["services"]
    assert isinstance(found, dict)
    return found


def settings_of(service: dict[str, Any]) -> dict[str, str]:
    """Its AVB_… variables by field, as Compose fills them in where only the secrets are set."""
    return {
        name.removeprefix("AVB_").lower(): VARIABLE.sub(lambda found: SECRETS.get(found[1], found[2] or ""), str(value))
        for name, value in service.get("environment", {}).items()
        if name.startswith("AVB_")
    }


def compose_command() -> list[str]:
    for command in (["docker", "compose"], ["docker-compose"], [str(PLUGIN)]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            if done.returncode == 0 and done.stdout.strip().removeprefix("v") >= "2":
                return command
    pytest.skip(
        "Compose 2 is not installed: it is the package docker-compose of Debian 13, whose one program runs alone "
        f"(apt-get download docker-compose && dpkg -x docker-compose_*.deb /, which puts it at {PLUGIN})"
    )


def test_compose_itself_takes_the_file_with_every_profile_and_refuses_it_without_secrets() -> None:
    command = [*compose_command(), "-f", str(COMPOSE), "--env-file", str(EXAMPLE), "--profile", "*", "config", "-q"]
    clean = {name: value for name, value in os.environ.items() if name not in SECRETS}
    good = subprocess.run(command, env=clean | SECRETS, capture_output=True, text=True)
    assert (good.returncode, good.stderr) == (0, "")
    bad = subprocess.run(command, env=clean, capture_output=True, text=True)
    assert bad.returncode != 0 and "set it in .env" in bad.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing_in_the_dockerfiles(path: Path) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, "--failure-threshold", "style", path], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_every_service_has_the_memory_of_the_plan_and_all_have_some_limit(services: dict[str, Any]) -> None:
    assert {name: services[name]["mem_limit"] for name in MEMORY} == MEMORY
    assert not [name for name, each in services.items() if "mem_limit" not in each]


def test_no_service_may_write_to_its_image_or_gain_rights(services: dict[str, Any]) -> None:
    for name, each in services.items():
        assert each["read_only"] and each["cap_drop"] == ["ALL"], name
        assert each["security_opt"] == ["no-new-privileges:true"], name


def test_ports_are_published_on_this_machine_alone_unless_asked_otherwise(services: dict[str, Any]) -> None:
    published = [port for each in services.values() for port in each.get("ports", ())]
    assert len(published) >= 4
    assert not [port for port in published if not VARIABLE.sub(lambda found: found[2], port).startswith("127.0.0.1:")]


def test_every_file_that_is_mounted_is_there(services: dict[str, Any]) -> None:
    mounts = [each.split(":")[0] for service in services.values() for each in service.get("volumes", ())]
    files = [COMPOSE.parent / each for each in mounts if each.startswith(".")]
    assert len(files) >= 5
    assert [str(each) for each in files if not each.exists()] == []


def test_prometheus_asks_every_container_that_runs_a_role_at_its_internal_port(services: dict[str, Any]) -> None:
    found = yaml.safe_load((COMPOSE.parent / "prometheus.yml").read_text())["scrape_configs"][0]["dns_sd_configs"]
    ports = {name: each["port"] for each in found for name in each["names"]}
    ours = {name for name, each in services.items() if settings_of(each)}
    assert ports == {name: {"gateway": 8003, "all-in-one": 8003, "webhook": 8002}.get(name, 8004) for name in ours}
    assert {settings_of(services[name])["internal_host"] for name in ours} == {"0.0.0.0"}


def test_promtool_takes_the_configuration_of_prometheus() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install -y prometheus")
    done = subprocess.run(
        [promtool, "check", "config", "--syntax-only", COMPOSE.parent / "prometheus.yml"], capture_output=True
    )
    assert done.returncode == 0, done.stderr


def test_every_role_is_run_by_one_service_and_each_starts_with_its_settings(services: dict[str, Any]) -> None:
    run: dict[str, str] = {}
    for name, each in services.items():
        if not settings_of(each) or name == "all-in-one":
            continue
        command = each.get("command") or ["serve", "--role", name]
        roles = [word for word in command if word not in ("serve", "--role")]
        run |= dict.fromkeys(roles, name)
        given = settings_of(each) | ({"vapi_bearer_tokens": "a-token"} if "webhook" in roles else {})
        load_settings(**given)
    assert set(run) == set(ROLES)
    load_settings(**settings_of(services["all-in-one"]))


def test_a_service_that_is_stopped_has_the_time_to_drain(services: dict[str, Any]) -> None:
    def seconds(name: str) -> int:
        return int(services[name]["stop_grace_period"].removesuffix("s"))

    assert seconds("gateway") >= GATEWAY_DRAIN_S + 5
    assert seconds("all-in-one") >= GATEWAY_DRAIN_S + WORKER_DRAIN_S
    assert min(seconds(name) for name in ("stt", "tts", "llm", "workers", "webhook")) >= WORKER_DRAIN_S + 5


def test_images_are_built_from_targets_that_exist_at_the_version_of_the_program(services: dict[str, Any]) -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILES[0].read_text(), re.MULTILINE))
    for name, each in services.items():
        if settings_of(each):
            image = re.fullmatch(r"\$\{AVB_REGISTRY:-agentvoicebox\}/(\S+):\$\{AVB_VERSION:-(\S+)\}", each["image"])
            assert image and image[1] in targets and image[2] == __version__, name
            assert each.get("build", {}).get("target", image[1]) == image[1]


def test_every_image_runs_as_an_ordinary_user_with_a_health_check_and_says_what_it_is() -> None:
    stages = re.split(r"^FROM ", DOCKERFILES[0].read_text(), flags=re.MULTILINE)[1:]
    named = {stage.partition("\n")[0].rpartition(" AS ")[2]: stage for stage in stages}
    assert "HEALTHCHECK" in named["base"] and "ENTRYPOINT" in named["base"]
    images = {name: stage for name, stage in named.items() if "\nCMD " in stage}
    assert set(images) == {"llm", "gateway", "webrtc", "stt", "stt-gpu", "tts", "all"}
    for name, stage in images.items():
        assert "\nUSER 10001:10001\n" in stage
        assert f'image.title="agentvoicebox-{name}"' in stage and "image.revision=" in stage
    assert f"ARG VERSION={__version__}" in images["gateway"]
