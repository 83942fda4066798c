"""`agentvoicebox records` on a real PostgreSQL: rules are shown, changed one by one, and dropped again."""

import asyncio
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from agentvoicebox.cli.records import app
from agentvoicebox.storage.audit import AuditLog
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.storage.rules import RetentionRules, RuleBook, TenantRules

Records = Callable[..., Result]


@pytest.fixture
def records(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Records:
    monkeypatch.setenv("AVB_POSTGRES_URL", postgres_url)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def own_rules(url: str, tenant: str) -> tuple[TenantRules, int]:
    """A tenant's own rules, and how often the audit log says that they were changed."""

    async def ask() -> tuple[TenantRules, int]:
        postgres = await Postgres.open(url, most_connections=1)
        try:
            deeds = [entry.action for entry in await AuditLog(postgres).latest(tenant)]
            return await RuleBook(postgres, RetentionRules()).own(tenant), deeds.count("tenant.rules")
        finally:
            await postgres.close()

    return asyncio.run(ask())


def test_rules_are_changed_one_by_one_and_every_change_is_audited(records: Records, postgres_url: str) -> None:
    assert "90" in records("rules", "--tenant", "acme").output
    records("rules", "--tenant", "acme", "--days", "7")
    shown = records("rules", "--tenant", "acme", "--words", "mask").output
    assert "mask" in shown and shown.count("its own") == 2
    assert own_rules(postgres_url, "acme") == (TenantRules(days=7, words="mask"), 2)
    records("rules", "--tenant", "acme", "--usual", "--audit-days", "10")
    assert own_rules(postgres_url, "acme") == (TenantRules(audit_days=10), 3)
    assert own_rules(postgres_url, "default") == (TenantRules(), 0)


def test_a_rule_that_can_not_be_meant_or_held_is_refused(records: Records, postgres_url: str) -> None:
    for words, reason in (("shred", "keep, mask or encrypt"), ("encrypt", "AVB_HISTORY_KEYS")):
        refused = records("rules", "--words", words)
        assert refused.exit_code == 1 and reason in refused.output
    assert own_rules(postgres_url, "default") == (TenantRules(), 0)
    assert records("usage").exit_code == 0
