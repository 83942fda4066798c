"""The policy where it must not fail open: a server that is away, slow or out of its mind; rules that are faulty or change."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.kit.opa_server import OpaServer, opa_server

from agentvoicebox.clock import ManualClock
from agentvoicebox.errors import PolicyDenied, PolicyLost, SettingsError
from agentvoicebox.policy import decisions as decisions_module
from agentvoicebox.policy.bundle import read_bundle, shipped_rules
from agentvoicebox.policy.decisions import CACHE_FOR_S, Decisions
from agentvoicebox.policy.embedded import CHECK_EVERY_S, EmbeddedPolicy
from agentvoicebox.policy.opa import REST, OpaPolicy
from agentvoicebox.ports.policy import Decision, PolicyRequest
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.principal import Principal

pytestmark = pytest.mark.requirement("A0")

CALLER = Principal("acme", "key_000000000001", ("realtime",))
QUESTION = PolicyRequest("acme", "key_1", ("realtime",), "session.open", "acme", "delivery")
HEADER = "package agentvoicebox.access\n\nimport rego.v1\n\n"
ACME_IS_SHUT = HEADER + 'deny contains "acme is shut" if input.tenant == "acme"\n'


class Counting:
    """Implements ports.policy: counts what reaches it."""

    def __init__(self) -> None:
        self.asked = 0
        self.version = "1"
        self.breaker = None
        self.decision = Decision(True, "")

    async def decide(self, question: PolicyRequest) -> Decision:
        self.asked += 1
        return self.decision

    async def close(self) -> None:
        return None


@pytest.fixture
async def opa() -> AsyncIterator[OpaServer]:
    async with opa_server() as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Rules of one's own: ours, to be added to."""
    (tmp_path / "access.rego").write_text((shipped_rules() / "access.rego").read_text())
    return tmp_path


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((500, b'{"code": "internal_error"}'), "status 500"),
        ((200, b"<html>a proxy's page</html>"), "not an OPA server"),
        ((200, b"{}"), "has no rule"),
        ((200, b'{"result": true}'), "no decision"),
        ((200, b'{"result": {"allow": "yes", "reason": ""}}'), "no decision"),
        ((200, b'{"result": {"allow": 1, "reason": ""}}'), "no decision"),
        ((200, b'{"result": {"allow": true, "reason": ["x"]}}'), "no text"),
        ((200, b'{"result": "' + b"x" * 100_000 + b'"}'), "too long"),
        ((307, b""), "status 307"),
    ],
)
async def test_an_answer_that_is_no_decision_is_a_no_with_a_cause(
    opa: OpaServer, answer: tuple[int, bytes], told: str
) -> None:
    opa.instead = answer
    policy = OpaPolicy(opa.url)
    with pytest.raises(PolicyLost, match=told):
        await policy.decide(QUESTION)
    await policy.close()


async def test_a_server_that_never_answers_is_given_up(opa: OpaServer) -> None:
    opa.is_silent = True
    policy = OpaPolicy(opa.url, answer_within_s=0.1)
    with pytest.raises(PolicyLost, match="in time"):
        await policy.decide(QUESTION)
    await policy.close()


async def test_a_server_that_is_away_is_left_alone_for_a_moment_and_then_asked_again(opa: OpaServer) -> None:
    clock = ManualClock()
    policy = OpaPolicy(opa.url, clock=clock)
    opa.instead = (503, b"")
    for _ in range(REST.failures_to_open):
        with pytest.raises(PolicyLost, match="503"):
            await policy.decide(QUESTION)
    asked = len(opa.asked)
    with pytest.raises(PolicyLost, match="is paused"):
        await policy.decide(QUESTION)
    assert len(opa.asked) == asked
    opa.instead = None
    clock.advance(REST.open_s)
    assert (await policy.decide(QUESTION)).allow
    await policy.close()


async def test_nobody_listens_at_the_address() -> None:
    policy = OpaPolicy("http://127.0.0.1:1")
    with pytest.raises(PolicyLost, match="AVB_OPA_URL"):
        await policy.decide(QUESTION)
    await policy.close()


async def test_a_token_is_sent_and_a_wrong_one_is_named(opa: OpaServer) -> None:
    opa.token = "letmein"
    right, wrong = OpaPolicy(opa.url, token="letmein"), OpaPolicy(opa.url, token="guess")
    assert (await right.decide(QUESTION)).allow
    with pytest.raises(PolicyLost, match="AVB_OPA_TOKEN"):
        await wrong.decide(QUESTION)
    await right.close()
    await wrong.close()


async def test_an_answer_serves_for_some_seconds_and_no_longer() -> None:
    clock, policy = ManualClock(), Counting()
    decisions = Decisions(policy, clock=clock)
    for _ in range(3):
        await decisions.require(CALLER, "session.open")
    assert policy.asked == 1
    clock.advance(CACHE_FOR_S)
    policy.decision = Decision(False, "shut")
    with pytest.raises(PolicyDenied, match="shut"):
        await decisions.require(CALLER, "session.open")
    assert policy.asked == 2


async def test_other_rules_make_every_remembered_answer_void() -> None:
    policy = Counting()
    decisions = Decisions(policy, clock=ManualClock())
    await decisions.require(CALLER, "session.open")
    policy.version, policy.decision = "2", Decision(False, "shut")
    with pytest.raises(PolicyDenied):
        await decisions.require(CALLER, "session.open")


async def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions_module, "MOST_KEPT", 10)
    policy = Counting()
    decisions = Decisions(policy, clock=ManualClock())
    for number in range(25):
        await decisions.require(CALLER, "tool.call", resource_id=f"tool_{number}")
    await decisions.require(CALLER, "tool.call", resource_id="tool_24")  # still there
    await decisions.require(CALLER, "tool.call", resource_id="tool_14")  # long gone
    assert policy.asked == 26


async def test_another_revision_of_the_servers_bundle_is_another_version(opa: OpaServer) -> None:
    opa.revision = "1"
    policy = OpaPolicy(opa.url)
    await policy.decide(QUESTION)
    first = policy.version
    opa.revision = "2"
    await policy.decide(QUESTION)
    assert policy.version != first
    await policy.close()


@pytest.mark.parametrize("name", ["a\0b", "x" * 257, "line\nbreak", "\ud800"])
async def test_what_nothing_can_be_called_is_refused_before_the_rules_see_it(name: str) -> None:
    policy = Counting()
    with pytest.raises(PolicyDenied):
        await Decisions(policy).require(CALLER, "tool.call", resource_id=name)
    assert policy.asked == 0


async def test_rules_of_ones_own_restrict_and_a_change_is_taken_up(folder: Path) -> None:
    clock = ManualClock()
    decisions = Decisions(EmbeddedPolicy(str(folder), clock=clock), clock=clock)
    await decisions.require(CALLER, "session.open")
    (folder / "shut.rego").write_text(ACME_IS_SHUT)
    clock.advance(max(CHECK_EVERY_S, CACHE_FOR_S))
    with pytest.raises(PolicyDenied, match="acme is shut"):
        await decisions.require(CALLER, "session.open")
    (folder / "shut.rego").unlink()
    clock.advance(max(CHECK_EVERY_S, CACHE_FOR_S))
    await decisions.require(CALLER, "session.open")


async def test_a_faulty_change_leaves_the_former_rules(folder: Path) -> None:
    clock = ManualClock()
    (folder / "shut.rego").write_text(ACME_IS_SHUT)
    policy = EmbeddedPolicy(str(folder), clock=clock)
    version = policy.version
    (folder / "shut.rego").write_text(ACME_IS_SHUT + "deny contains {")
    clock.advance(CHECK_EVERY_S)
    assert not (await policy.decide(QUESTION)).allow and policy.version == version


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("deny contains", "own.rego:5: "),
        ('deny contains "x" if tenant == "acme"\n', "own.rego:5: use of undefined variable `tenant`"),
        ('deny contains "x" if foo(1)\n', "own.rego:5: could not find function foo"),
        ("\n\ndecision := 3\n", "own.rego:7: rule conflicts"),
        ('deny contains "x" if sum([n | some n in numbers.range(1, 200000)]) < 1\n', "ms to decide"),
    ],
)
def test_faulty_rules_are_told_with_file_and_line_at_the_start(folder: Path, text: str, told: str) -> None:
    (folder / "own.rego").write_text(HEADER + text)
    with pytest.raises(SettingsError) as caught:
        EmbeddedPolicy(str(folder))
    assert told in caught.value.message and "backtrace" not in caught.value.message


def test_a_folder_without_rules_or_with_too_many_is_refused(tmp_path: Path) -> None:
    def message(fill: Callable[[Path], object]) -> str:
        fill(tmp_path)
        with pytest.raises(SettingsError) as caught:
            read_bundle(str(tmp_path))
        return caught.value.message

    assert "policy export" in message(lambda folder: None)
    assert "UTF-8" in message(lambda folder: (folder / "a.rego").write_bytes(b"\xff\xfe"))
    assert "bytes" in message(lambda folder: (folder / "a.rego").write_text("#" * 5_000_000))
    (tmp_path / "a.rego").write_text(HEADER)
    assert "JSON" in message(lambda folder: (folder / "data.json").write_text("[1]"))


async def test_decisions_stand_in_the_tenants_audit_log(postgres_url: str) -> None:
    await migrate(postgres_url)
    postgres = await Postgres.open(postgres_url, most_connections=1)
    trail = AuditTrail(postgres)
    policy = EmbeddedPolicy()
    decisions = Decisions(policy, trail, clock=ManualClock())
    for _ in range(2):  # the second leave is remembered, and not written again
        await decisions.require(CALLER, "tool.call", resource_id="get_delivery_status")
    for _ in range(2):  # each refusal is
        with pytest.raises(PolicyDenied):
            await decisions.require(CALLER, "admin.key.read", tenant_id="umbra")
    away = Decisions(OpaPolicy("http://127.0.0.1:1"), trail)
    with pytest.raises(PolicyLost):
        await away.require(CALLER, "session.open")
    await away.close()
    await trail.flush()
    noted = [(each.action, each.subject) for each in await AuditLog(postgres).latest("acme")]
    assert sorted(noted) == [
        ("policy.allowed", "tool.call get_delivery_status"),
        ("policy.denied", "admin.key.read of umbra"),
        ("policy.denied", "admin.key.read of umbra"),
        ("policy.unanswered", "session.open"),
    ]
    assert await AuditLog(postgres).latest("umbra") == []
    await postgres.close()
