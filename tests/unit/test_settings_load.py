"""Settings are checked at start, all at once, with a mend for each fault."""

import os

import pytest

from agentvoicebox.errors import SettingsError
from agentvoicebox.gateway.role import limit_config
from agentvoicebox.loopback import is_loopback
from agentvoicebox.settings import Settings
from agentvoicebox.settings.gateway import LOGGED_SERVICES
from agentvoicebox.supervisor.roles import ROLES

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
    assert caught.value.faults == tuple(each.strip() for each in faults)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("AVB_PORT", "abc", "'abc' is not a whole number"),
        ("AVB_PORT", "80.5", "'80.5' is not a whole number"),
        ("AVB_PORT", "99999", "'99999' should be 65535 or less"),
        ("AVB_MAX_CALLS", "0", "'0' should be 1 or more"),
        ("AVB_RESUME_S", "soon", "'soon' is not a number"),
        ("AVB_RESUME_S", "nan", "'nan' should be"),
        ("AVB_STRICT_422", "perhaps", "'perhaps' should be true or false"),
        ("AVB_LOG_LEVEL", "loud", "'loud' should be debug, info, warning or error"),
        ("AVB_REDIS_URL", "http://a", "should start with redis://"),
        ("AVB_LIMIT_TENANT_SESSIONS", "some", "'some' is not a whole number"),
    ],
)
def test_a_wrong_value_is_said_in_a_sentence_of_our_own(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: {sentence}") and "Input" not in fault


def test_every_kind_of_fault_that_a_setting_can_have_has_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        for value in ("", "no such value", "-1", "1e400", "nan", None, [], object()):
            try:
                Settings.load(**{name: value})
            except SettingsError as error:
                said = error.message
                assert "Input" not in said and "String" not in said, (name, value, said)
        assert field.annotation is not None


def test_a_wrong_value_of_a_secret_is_not_shown() -> None:
    for name, field in Settings.model_fields.items():
        if not field.repr:
            with pytest.raises(SettingsError) as caught:
                Settings.load(**{name: ["hush"]})
            assert "hush" not in caught.value.message


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


def test_services_have_levels_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_LOG_LEVEL", "warning")
    monkeypatch.setenv("AVB_LOG_LEVELS", "gateway=debug, stt=error")
    settings = Settings.load()
    assert [settings.log_level_of(each) for each in ("gateway", "stt", "llm")] == ["debug", "error", "warning"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("gateway", "AVB_LOG_LEVELS: 'gateway' should look like gateway=debug"),
        ("boss=debug", "AVB_LOG_LEVELS: there is no service 'boss'; there are supervisor, gateway, stt"),
        ("stt=loud", "AVB_LOG_LEVELS: 'loud' of stt should be debug, info, warning, error"),
    ],
)
def test_a_wrong_level_of_a_service_is_explained(given: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVB_LOG_LEVELS", given)
    with pytest.raises(SettingsError, match=told):
        Settings.load()


def test_every_role_is_a_service_with_a_level() -> None:
    assert set(LOGGED_SERVICES) == {*ROLES, "supervisor"}


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


@pytest.mark.parametrize(
    ("redis_url", "postgres_url", "host", "is_one"),
    [
        ("unix:///run/valkey.sock?db=0", "postgresql://avb@/avb?host=/run&port=5432", "127.0.0.1", True),
        ("", "postgresql://avb@127.0.0.1/avb", "localhost", True),
        ("rediss://localhost:6380/0", "", "127.0.0.1", True),
        ("", "postgresql://avb@127.0.0.1/avb", "0.0.0.0", False),
        ("", "postgresql://avb@records/avb", "127.0.0.1", False),
        ("redis://store:6379/0", "postgresql://avb@127.0.0.1/avb", "127.0.0.1", False),
        ("", "postgresql://avb@/avb?host=records", "127.0.0.1", False),
        ("", "postgresql:///avb", "127.0.0.1", False),
        ("", "", "127.0.0.1", False),
    ],
)
def test_a_server_is_of_one_machine_when_its_stores_are_there_too(
    redis_url: str, postgres_url: str, host: str, is_one: bool
) -> None:
    settings = Settings.load(redis_url=redis_url, postgres_url=postgres_url, host=host, api_keys="a-key-of-the-test")
    assert settings.is_one_machine is is_one
