"""Settings are checked at start, all at once, with a mend for each fault."""

import os

import pytest

from agentvoicebox.errors import SettingsError
from agentvoicebox.gateway.role import limit_config
from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings import Settings

pytestmark = pytest.mark.requirement("B4.1")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("AVB_"):
            monkeypatch.delenv(name)


def test_nothing_set_makes_a_system_on_loopback() -> None:
    settings = Settings.load()
    assert (settings.host, settings.port, settings.keys) == ("127.0.0.1", 8000, ())
    assert settings.tts_engines == ("piper", "kokoro", "espeak")


def test_all_faults_are_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AVB_HOTS": "x",
        "AVB_PORT": "99999",
        "AVB_HOST": "0.0.0.0",
        "AVB_STT_PROFILE": "quick",
        "AVB_REDIS_URL": "http://somewhere",
        "AVB_MAX_CALLS": "many",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    faults = caught.value.message.splitlines()[1:]
    assert len(faults) == 6
    assert "AVB_HOTS: no such setting; did you mean AVB_HOST?" in caught.value.message
    for name in ("AVB_PORT", "AVB_API_KEYS", "AVB_STT_PROFILE", "AVB_REDIS_URL", "AVB_MAX_CALLS"):
        assert f"  {name}: " in caught.value.message


def test_an_address_that_others_can_reach_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_HOST", "0.0.0.0")
    with pytest.raises(SettingsError, match="AVB_API_KEYS"):
        Settings.load()
    monkeypatch.setenv("AVB_API_KEYS", "one, two")
    assert Settings.load().keys == ("one", "two")


def test_the_console_format_is_refused_where_others_listen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_HOST", "10.0.0.1")
    monkeypatch.setenv("AVB_API_KEYS", "k")
    monkeypatch.setenv("AVB_LOG_FORMAT", "console")
    with pytest.raises(SettingsError, match="AVB_LOG_FORMAT"):
        Settings.load()


def test_a_child_process_gets_the_very_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Settings.load(port=0, api_keys="secret", redis_url="redis://127.0.0.1:1/0", max_calls=3)
    for name, value in parent.to_environment().items():
        monkeypatch.setenv(name, value)
    assert Settings.load() == parent


def test_secrets_are_not_in_the_printed_form() -> None:
    shown = repr(Settings.load(api_keys="hush-1", llm_api_key="hush-2", redis_url="redis://:hush-3@h/0"))
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("example.org", False),
        ("::", False),
    ],
)
def test_loopback_is_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_several_language_model_servers_stand_in_order() -> None:
    settings = Settings.load(
        llm_base_url="http://a/v1",
        llm_model="x",
        llm_servers="groq=https://g/v1#llama, here=http://h/v1#q",
        llm_keys="here=k=1",
    )
    assert tuple(each[:4] for each in settings.language_servers) == (
        ("openai", "http://a/v1", "", "x"),
        ("groq", "https://g/v1", "", "llama"),
        ("here", "http://h/v1", "k=1", "q"),
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"llm_servers": "https://g/v1#m"}, "name=https"),
        ({"llm_servers": "openai=https://g/v1#m"}, "taken"),
        ({"llm_servers": "g=https://g/v1"}, "an address and a model"),
        ({"llm_servers": "g=https://g/v1#m", "llm_keys": "h=hush"}, "entry 1 does not name a server"),
        ({"llm_servers": "g=https://g/v1#m", "llm_keys": "hush"}, "entry 1 should look like name=key"),
    ],
)
def test_a_server_without_name_address_or_model_is_told_and_no_key_with_it(given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told) as raised:
        Settings.load(**given)
    assert "hush" not in str(raised.value)


@pytest.mark.requirement("A12.3")
@pytest.mark.parametrize(
    ("given", "limit"),
    [
        ({}, None),
        ({"api_keys": "k"}, 12),
        ({"api_keys": "k", "max_calls": 1}, 1),
        ({"api_keys": "k", "max_calls": 40, "gateways": 3}, 60),
        ({"api_keys": "k", "limit_tenant_sessions": 0}, None),
        ({"limit_tenant_sessions": 5}, 5),
    ],
)
def test_a_tenant_leaves_half_of_the_lines_to_others_where_there_may_be_others(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, object], limit: int | None
) -> None:
    settings = Settings.load(**given)
    assert limit_config(settings).tenant_sessions == limit
    for name, value in settings.to_environment().items():  # a child process reads the same
        monkeypatch.setenv(name, value)
    assert limit_config(Settings.load()).tenant_sessions == limit
