"""What is wrong with the machine or the settings is said before anything starts, with the setting and how to correct it."""

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.kit.silent_server import silent_server

from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.providers import catalogue, needs
from agentvoicebox.settings import Settings
from agentvoicebox.settings.values import without_password
from agentvoicebox.supervisor.embedded.data_folder import DataFolder, is_in_use
from agentvoicebox.supervisor.preflight.checks import examine
from agentvoicebox.supervisor.preflight.engines import check_engines
from agentvoicebox.supervisor.preflight.files import LEAST_FREE_MB, check_files
from agentvoicebox.supervisor.preflight.finding import Finding, refuse
from agentvoicebox.supervisor.preflight.packages import check_traces
from agentvoicebox.supervisor.preflight.ports import check_ports
from agentvoicebox.supervisor.roles import ROLES, children
from agentvoicebox.telemetry.trace_exporter import MODULE

pytestmark = pytest.mark.requirement("B4.1")

PARENT = MODULE.rpartition(".")[0]
FREE: dict[str, Any] = {"port": 0, "gateway_internal_port": 0, "webhook_port": 0, "internal_port": 0}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("AVB_"):
            monkeypatch.delenv(name)


@pytest.fixture
def taken() -> Iterator[int]:
    with silent_server() as port:
        yield port


@pytest.fixture
def without_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the packages that send traces were not installed, whichever tests imported them before."""
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, PARENT, None)


def wrong(findings: Any) -> list[Finding]:
    return [each for each in findings if each.state in ("error", "taken")]


# -- ports -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", FREE)
def test_each_port_that_another_program_has_is_named_with_its_setting(taken: int, field: str) -> None:
    (found,) = wrong(check_ports(Settings(**{**FREE, field: taken}), ROLES))
    assert found.state == "taken"
    assert found.sentence.startswith(
        f"AVB_{field.upper()}={taken}: another program listens on 127.0.0.1:{taken}; stop it"
    )


def test_only_the_ports_of_the_roles_here_are_looked_at(taken: int) -> None:
    settings = Settings(**{**FREE, "port": taken})
    assert not wrong(check_ports(settings, {"webhook", "stt"})) and wrong(check_ports(settings, {"gateway"}))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_two_of_our_own_ports_must_differ(host: str) -> None:
    settings = Settings(**{**FREE, "port": 18_431, "gateway_internal_port": 18_431}, host=host, api_keys="k")
    (found,) = wrong(check_ports(settings, {"gateway"}))
    assert found.sentence == (
        "AVB_GATEWAY_INTERNAL_PORT=18431: AVB_PORT is the same; set AVB_GATEWAY_INTERNAL_PORT or AVB_PORT to another port"
    )


def test_a_fixed_internal_port_is_for_one_worker_process_alone() -> None:
    settings = Settings(**FREE, worker_internal_port=18_433)
    assert not wrong(check_ports(settings, {"llm", "tool", "gateway"}))  # one process of workers
    assert not wrong(check_ports(settings, {"stt", "tts"}))
    (found,) = wrong(check_ports(settings, {"stt", "llm"}))
    assert found.sentence == (
        "AVB_WORKER_INTERNAL_PORT=18433: AVB_WORKER_INTERNAL_PORT is the same; "
        "set AVB_WORKER_INTERNAL_PORT=0: several processes of workers run here, each with a port"
    )


def test_a_fixed_port_of_the_supervisor_is_looked_at(taken: int) -> None:
    (found,) = wrong(check_ports(Settings(**FREE, supervisor_internal_port=taken), {"stt"}))
    assert found.sentence.startswith(f"AVB_SUPERVISOR_INTERNAL_PORT={taken}: another program listens")


def test_the_same_port_of_two_addresses_is_no_fault() -> None:
    settings = Settings(**{**FREE, "port": 18_432, "gateway_internal_port": 18_432}, host="127.0.0.2", api_keys="k")
    assert not wrong(check_ports(settings, {"gateway"}))


def test_a_host_that_is_not_this_machine_is_a_fault_of_the_host() -> None:
    (found,) = wrong(check_ports(Settings(**FREE, internal_host="192.0.2.1"), {"gateway"}))
    assert found.sentence.startswith(
        "AVB_INTERNAL_HOST=192.0.2.1: not an address of this machine; set AVB_INTERNAL_HOST"
    )


# -- folders and files -----------------------------------------------------------------------------------------------


def checked(settings: Settings, *, roles: Any = ROLES, has_embedded_servers: bool = True) -> list[Finding]:
    return list(check_files(settings, roles, has_embedded_servers=has_embedded_servers))


def test_a_data_folder_that_can_not_be_made_is_named_and_nothing_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / "file" / "data"
    (found,) = wrong(checked(load_settings(data_dir=str(folder))))
    assert found.sentence.startswith(f"AVB_DATA_DIR={folder}: ") and "set AVB_DATA_DIR to another folder" in found.fix
    assert not wrong(checked(load_settings(data_dir=str(tmp_path / "new")))) and not (tmp_path / "new").exists()


def test_a_data_folder_of_another_server_is_taken_but_only_for_embedded_servers(tmp_path: Path) -> None:
    settings = load_settings(data_dir=str(tmp_path))
    data = DataFolder(tmp_path)
    try:
        (found,) = wrong(checked(settings))
        assert found.state == "taken" and "is in use by another server; stop it" in found.sentence
        assert not wrong(checked(settings, has_embedded_servers=False))
    finally:
        data.close()
    assert not wrong(checked(settings)) and not is_in_use(tmp_path)


def test_looking_whether_a_folder_is_in_use_leaves_its_lock_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "embedded.lock").touch()  # of a server that was killed
    assert not is_in_use(tmp_path)
    with (tmp_path / "embedded.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(("free_mb", "state"), [(LEAST_FREE_MB - 1, "error"), (LEAST_FREE_MB, "warning"), (900, "ok")])
def test_a_disk_that_is_nearly_full_is_a_warning_and_then_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_mb: int, state: str
) -> None:
    real = os.statvfs(tmp_path)
    figures = [*real]
    figures[4], figures[1] = free_mb, 1_000_000  # f_bavail, f_frsize
    monkeypatch.setattr("os.statvfs", lambda _: os.statvfs_result(figures))
    (found,) = (each for each in checked(load_settings(data_dir=str(tmp_path))) if each.what == "data folder")
    assert found.state == state


def test_every_fault_of_agents_is_one_finding(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("instructions = ")
    (tmp_path / "two.toml").write_text('instructions = "x"\nvoise = "alloy"')
    found = wrong(checked(load_settings(agents_dir=str(tmp_path))))
    assert [each.sentence.partition(": ")[0] for each in found] == [
        str(tmp_path / "one.toml"),
        str(tmp_path / "two.toml"),
    ]
    assert not wrong(checked(load_settings(agents_dir=str(tmp_path)), roles={"stt", "recorder"}))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"agents_dir": "/nonexistent"}, "AVB_AGENTS_DIR=/nonexistent: no such folder; create it"),
        ({"default_agent": "nobody"}, "AVB_DEFAULT_AGENT=nobody: no such agent; there are assistant, delivery"),
        ({"default_agent": "delivry"}, "AVB_DEFAULT_AGENT=delivry: no such agent; did you mean delivery?"),
        (
            {"default_agent": "assistant"},
            "AVB_DEFAULT_AGENT=assistant: this agent can't answer; no language model server",
        ),
        ({"models_dir": "/nonexistent"}, "AVB_MODELS_DIR=/nonexistent: no such folder; create it"),
        ({"policy_dir": "/nonexistent"}, "AVB_POLICY_DIR: there is no folder /nonexistent"),
        ({"tls_cert": "/nonexistent", "tls_key": "/nonexistent"}, "AVB_TLS_CERT: /nonexistent can't be read"),
    ],
)
def test_a_setting_that_names_what_is_not_there_is_said(tmp_path: Path, given: dict[str, str], said: str) -> None:
    (found,) = wrong(checked(load_settings(data_dir=str(tmp_path), **given)))
    assert found.sentence.startswith(said)


def test_an_agent_without_a_language_model_is_optional_unless_no_other_can_answer(tmp_path: Path) -> None:
    found = {each.what: each for each in checked(load_settings(data_dir=str(tmp_path)))}
    assert (found["agents"].state, found["agents"].detail) == ("ok", "delivery")
    assert found["agent assistant"].state == "optional" and "AVB_LLM" in found["agent assistant"].fix
    found = {each.what: each for each in checked(load_settings(data_dir=str(tmp_path), kits=""))}
    assert found["agents"].state == "warning" and "AVB_LLM" in found["agents"].fix


# -- engines ---------------------------------------------------------------------------------------------------------


def test_an_unknown_speech_engine_is_named_with_the_one_that_is_meant() -> None:
    (found,) = wrong(check_engines(Settings(tts_order="piperr,espeak"), {"tts"}))
    assert found.sentence.startswith(
        "AVB_TTS_ORDER=piperr,espeak: no speech engine 'piperr'; did you mean piper? There are "
    )
    assert "scripted" not in found.sentence
    assert not wrong(check_engines(Settings(tts_order="piperr"), {"stt", "gateway"}))


def test_a_plug_in_is_a_known_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentvoicebox.supervisor.preflight.engines.tts_plug_ins", lambda: ("singer",))
    assert not wrong(check_engines(Settings(tts_order="singer"), {"tts"}))


def test_one_installed_engine_is_enough_and_none_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(needs.TTS_NEEDS, "kokoro", needs.EngineNeeds("kokoro", ("no_such_package",)))
    assert not wrong(check_engines(Settings(tts_order="kokoro,espeak"), {"tts"}))
    (found,) = wrong(check_engines(Settings(tts_order="kokoro"), {"tts"}))
    assert found.sentence == (
        "AVB_TTS_ORDER=kokoro: none of them is installed; type `pip install 'agentvoicebox[kokoro]'`"
    )


def test_a_recogniser_without_its_model_says_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalogue, "_piece", lambda piece: None)
    settings = Settings(stt_profile="accurate", data_dir=str(tmp_path))
    (found,) = wrong(check_engines(settings, {"stt"}))
    assert found.sentence == ("AVB_STT_PROFILE=accurate: not installed; type `agentvoicebox models pull whisper-base`")


@pytest.mark.requirement("A6")
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"stt_device": "cuda"}, "AVB_STT_DEVICE=cuda: no GPU is visible; install the driver"),
        (
            {"stt_device": "cpu", "stt_compute_type": "float16"},
            "AVB_STT_COMPUTE_TYPE=float16: cpu of this machine can't compute with it; leave it empty, or set one of ",
        ),
    ],
)
def test_a_device_that_can_not_run_the_recogniser_is_said(given: dict[str, Any], said: str) -> None:
    if "cuda" in given.values() and pytest.importorskip("ctranslate2").get_cuda_device_count():
        pytest.skip("this machine has a GPU")
    (found,) = wrong(check_engines(Settings(**given), {"stt"}))
    assert found.sentence.startswith(said)
    assert not wrong(check_engines(Settings(**given), {"tts", "gateway"}))
    assert not wrong(check_engines(Settings(stt_device="cpu", stt_compute_type="int8"), {"stt"}))


def test_every_profile_and_no_other_has_its_needs() -> None:
    profiles = Settings.model_fields["stt_profile"].annotation
    assert set(needs.STT_NEEDS) == set(getattr(profiles, "__args__", ())) - {"auto"}
    known = {status.model.name for status in catalogue.ModelCatalogue.of("", "/nonexistent").list_models()}
    for each in (*needs.STT_NEEDS.values(), *needs.TTS_NEEDS.values()):
        assert {name for names in each.models for name in names} <= known


# -- all together ----------------------------------------------------------------------------------------------------


async def test_all_faults_come_at_once_in_one_list(taken: int, tmp_path: Path) -> None:
    settings = load_settings(
        **{**FREE, "port": taken}, data_dir=str(tmp_path), tts_order="piperr", agents_dir="/nonexistent"
    )
    with pytest.raises(SettingsError) as refused:
        refuse(await examine(settings))
    lines = refused.value.message.splitlines()
    assert lines[0] == "the server can't start:" and len(lines) == 4
    for setting in (f"AVB_PORT={taken}", "AVB_TTS_ORDER=piperr", "AVB_AGENTS_DIR=/nonexistent"):
        assert any(line.startswith(f"  {setting}: ") for line in lines)


async def test_a_role_without_its_server_is_a_fault_beside_the_others() -> None:
    found = wrong(await examine(load_settings(tts_order="piperr"), children(["tts"]), is_whole=False))
    assert [each.sentence.split()[0] for each in found] == ["AVB_TTS_ORDER=piperr:", "AVB_REDIS_URL"]


async def test_a_good_machine_is_refused_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    findings = await examine(load_settings(**FREE, data_dir=str(folder)))
    refuse(findings)
    assert {each.what for each in findings} >= {"gateway port", "data folder", "agents", "embedded servers"}
    assert not os.path.exists(folder)  # noqa: ASYNC240


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://:hush@store:6379/0", "redis://:***@store:6379/0"),
        ("postgresql://me:hu/sh@db/records", "postgresql://me:***@db/records"),
        ("postgresql://me:hu@sh@db/records", "postgresql://me:***@db/records"),
        (
            "postgresql://me@db/records?password=hush&sslmode=require",
            "postgresql://me@db/records?password=***&sslmode=require",
        ),
        ("rediss+cluster://u:hush@a:1,b:2", "rediss+cluster://u:***@a:1,b:2"),
        ("unix:///run/store.sock?db=0", "unix:///run/store.sock?db=0"),
        ("scripted", "scripted"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown


# -- traces ----------------------------------------------------------------------------------------------------------


SECRET_IN_URL = "https://me:secret@collector:4318"


def test_traces_with_their_packages_are_sent_to_an_address_without_its_password() -> None:
    found = check_traces(Settings(traces_url=SECRET_IN_URL))
    assert (found.state, found.sentence) == ("ok", "sent to https://me:***@collector:4318/v1/traces")


@pytest.mark.usefixtures("without_traces")
def test_traces_without_their_packages_are_refused_with_what_to_type() -> None:
    found = check_traces(Settings(traces_url=SECRET_IN_URL))
    assert found.sentence == (
        "AVB_TRACES_URL=https://me:***@collector:4318: the packages that send them are not installed; "
        "type `pip install 'agentvoicebox[traces]'`, or leave AVB_TRACES_URL empty"
    )


@pytest.mark.usefixtures("without_traces")
async def test_only_a_gateway_with_an_address_for_traces_asks_for_their_packages(tmp_path: Path) -> None:
    without = load_settings(**FREE, data_dir=str(tmp_path), redis_url="redis://127.0.0.1:1/0")
    wanted = load_settings(
        **FREE, data_dir=str(tmp_path), redis_url="redis://127.0.0.1:1/0", traces_url="http://c:4318"
    )
    for settings, role, is_refused in ((without, "gateway", False), (wanted, "llm", False), (wanted, "gateway", True)):
        findings = await examine(settings, children([role]), is_whole=False)
        assert ("traces" in {each.what for each in wrong(findings)}) is is_refused


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("http://collector:4318/", "http://collector:4318/v1/traces"),
        ("https://host/otlp/v1/traces", "https://host/otlp/v1/traces"),
    ],
)
def test_an_address_without_a_path_gets_that_of_otlp(given: str, address: str) -> None:
    assert Settings(traces_url=given).traces_address == address


def test_headers_of_traces_are_name_and_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings(traces_headers="Authorization=Basic YQ==, x-a=1").traces_header_map == {
        "authorization": "Basic YQ==",
        "x-a": "1",
    }
    monkeypatch.setenv("AVB_TRACES_HEADERS", "Basic s3cret")
    monkeypatch.setenv("AVB_TRACES_URL", "collector:4318")
    with pytest.raises(SettingsError) as refused:
        Settings.load()
    assert refused.value.faults == (
        "AVB_TRACES_URL: should start with http:// or https://",
        "AVB_TRACES_HEADERS: each header should look like name=value",
    )
