"""The store and the database of the settings can be reached and used."""

from agentvoicebox.broker.store_check import BadStore, check_store
from agentvoicebox.errors import InfrastructureError
from agentvoicebox.kits.registry import kits_of
from agentvoicebox.settings import Settings
from agentvoicebox.storage.check import check_database
from agentvoicebox.supervisor.preflight.finding import Finding, assignment

TIMEOUT_S = 1.5  # a healthy server answers in milliseconds; with the loading of the program a start ends within 3 s


async def check_redis(settings: Settings) -> list[Finding]:
    """The store of AVB_REDIS_URL, which must be set."""
    setting = assignment(settings, "redis_url")
    try:
        shortcomings = await check_store(settings.redis_url, timeout_s=TIMEOUT_S)
    except BadStore as error:
        return [Finding("store", "error", error.message, "start it, or correct AVB_REDIS_URL", setting)]
    if not shortcomings:
        return [Finding("store", "ok", setting.partition("=")[2])]
    return [
        Finding("store", "warning", f"{each.setting} is {each.found}: {each.why}", f"set it to {each.wanted}", setting)
        for each in shortcomings
    ]


async def check_postgres(settings: Settings) -> list[Finding]:
    """The database of AVB_POSTGRES_URL, which must be set."""
    setting, fix = assignment(settings, "postgres_url"), "correct that, or AVB_POSTGRES_URL"
    try:
        found = await check_database(settings.postgres_url, timeout_s=TIMEOUT_S)
        if not found.may_create and not await _is_migrated(settings):
            grant = f"`GRANT CREATE ON SCHEMA public TO {found.role}` gives it this right"
            detail = f"the role {found.role} may not create the tables that are missing"
            return [Finding("database", "error", detail, grant, setting)]
    except InfrastructureError as error:
        return [Finding("database", "error", error.message, fix, setting)]
    return [Finding("database", "ok", f"PostgreSQL {found.version}, {setting.partition('=')[2]}")]


async def _is_migrated(settings: Settings) -> bool:
    from agentvoicebox.kits.migrate import is_all_migrated  # late: Alembic takes a third of a second to load

    return await is_all_migrated(settings.postgres_url, kits_of(settings))
