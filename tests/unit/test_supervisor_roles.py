"""Which processes a machine runs that serves some roles only, and what it asks for before it starts."""

import pytest

from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.supervisor.roles import CHILDREN, ROLES, check_needs, children, load

REDIS, POSTGRES = "redis://store:6379/0", "postgresql://records/agentvoicebox"


def test_the_roles_are_those_of_the_plan_and_each_can_be_loaded() -> None:
    assert set(ROLES) == {
        "gateway",
        "stt",
        "llm",
        "tts",
        "tool",
        "webhook",
        "recorder",
        "janitor",
        "events",
        "telephony",
        "webrtc",
    }
    assert all(callable(load(role.target)) for spec in CHILDREN for role in spec.roles)


def test_all_roles_together_are_what_a_single_machine_runs() -> None:
    assert children(ROLES) == CHILDREN


def test_a_machine_of_two_roles_runs_nothing_else() -> None:
    chosen = children(["recorder", "gateway"])
    assert [(spec.name, [role.name for role in spec.roles]) for spec in chosen] == [
        ("worker", ["recorder"]),
        ("gateway", ["gateway"]),
    ]


def test_recognition_and_speech_of_a_machine_share_a_process_and_alone_each_has_its_name() -> None:
    assert [(spec.name, len(spec.roles)) for spec in children(["tts", "stt"])] == [("speech", 2)]
    assert [spec.name for role in ("stt", "tts") for spec in children([role])] == ["stt", "tts"]


def test_an_unknown_role_is_named_beside_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="no role speech; there are stt"):
        children(["gateway", "speech"])


@pytest.mark.parametrize(
    ("role", "given", "told"),
    [
        ("gateway", {}, "AVB_REDIS_URL is needed by gateway"),
        ("gateway", {"redis_url": REDIS}, "AVB_POSTGRES_URL is needed by gateway"),
        ("recorder", {"redis_url": REDIS}, "AVB_POSTGRES_URL is needed by recorder"),
        ("tool", {"redis_url": REDIS}, "AVB_POSTGRES_URL is needed by tool"),
        ("webhook", {}, "AVB_POSTGRES_URL is needed by webhook"),
    ],
)
def test_a_role_without_its_server_says_which_setting_it_needs(role: str, given: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        check_needs(children([role]), load_settings(**given))


def test_every_missing_server_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        check_needs(children(["gateway", "recorder"]), load_settings())
    assert "AVB_REDIS_URL" in refused.value.message and "AVB_POSTGRES_URL" in refused.value.message


def test_parcels_of_sanity_need_no_postgresql() -> None:
    settings = load_settings(redis_url=REDIS, shipments="sanity", sanity_project_id="abc")
    check_needs(children(["tool", "webhook"]), settings)
    check_needs(children(ROLES), load_settings(redis_url=REDIS, postgres_url=POSTGRES))
