"""What the gate costs: a key (hot, cold, among guesses), an ephemeral secret, the policy, one limit check at 1 and 10,000 tokens.

    python benchmarks/auth_and_limits.py [--rounds 2000]

On a real Valkey and a real PostgreSQL over unix sockets, with one caller at a time, so the figures are latencies without
queueing. A check takes from three scopes (global, tenant, key), requests and tokens of each, in windows that have been in
use. Prints one JSON object and a table.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec
import uvloop
from argon2 import PasswordHasher
from rich.console import Console
from rich.table import Table

from agentvoicebox.broker.connection import Connection
from agentvoicebox.gateway.admission.credential_resolver import CredentialResolver
from agentvoicebox.limits.allowance import Allowance, Scope
from agentvoicebox.limits.redis import Limits
from agentvoicebox.policy.decisions import Decisions
from agentvoicebox.policy.embedded import EmbeddedPolicy
from agentvoicebox.ports.policy import PolicyRequest
from agentvoicebox.storage.migrate import migrate
from agentvoicebox.storage.postgres import Postgres
from agentvoicebox.supervisor.embedded.data_folder import DataFolder
from agentvoicebox.supervisor.embedded.postgres import EmbeddedPostgres
from agentvoicebox.supervisor.embedded.valkey import EmbeddedValkey
from agentvoicebox.tenancy.account_status_cache import AccountStatusCache
from agentvoicebox.tenancy.api_keys import ApiKeys
from agentvoicebox.tenancy.audit_trail import AuditTrail
from agentvoicebox.tenancy.authenticator import Authenticator
from agentvoicebox.tenancy.client_secrets import ClientSecrets
from agentvoicebox.tenancy.key_format import new_key

WARM_UP = 50
COLD_ROUNDS = 200  # each is a query for the key and one for its account
SLOW_ROUNDS = 40  # each is an Argon2id hash besides, at the cost of earlier versions
GUESSES = 400
AMPLE = 10**12


async def timed(what: Callable[[], Awaitable[object]], rounds: int) -> list[float]:
    """Milliseconds of each round."""
    for _ in range(WARM_UP):
        await what()
    taken_ms = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        await what()
        taken_ms.append((time.perf_counter() - began_s) * 1000)
    return taken_ms


async def measure(redis_url: str, postgres_url: str, rounds: int) -> dict[str, list[float]]:
    """Milliseconds by what was done."""
    await migrate(postgres_url)
    postgres, connection = await Postgres.open(postgres_url), Connection(redis_url)
    keys, key = ApiKeys(postgres), new_key()
    await keys.create("bench", key)
    secrets, figures = ClientSecrets(connection), dict[str, list[float]]()
    cold, slow = [await first_use_ms(keys, key.text) for _ in range(COLD_ROUNDS)], []
    for _ in range(SLOW_ROUNDS):
        old = new_key()
        slow_hash = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1).hash(old.text[-43:])
        await keys.create("bench", msgspec.structs.replace(old, secret_hash=slow_hash))
        slow.append(await first_use_ms(keys, old.text))
    trail = AuditTrail(postgres)
    accounts = AccountStatusCache(keys)
    resolver = CredentialResolver(Authenticator(keys, accounts, trail), secrets, accounts, trail)
    figures["key, hot"] = await timed(lambda: resolver.resolve(key.text), rounds)
    figures["key, cold"] = cold
    figures["key of an earlier version, cold"] = slow
    figures["key, cold, among guesses"] = await among_guesses(keys, key.text)
    credential = await resolver.resolve(key.text)
    policy = EmbeddedPolicy()
    questions = (
        PolicyRequest("bench", f"key_{n}", ("realtime",), "session.open", "bench", "delivery")
        for n in itertools.count()
    )
    figures["policy, asked anew"] = await timed(lambda: policy.decide(next(questions)), rounds)
    decide = partial(Decisions(policy).decide, credential.principal, "session.open", resource_id="delivery")
    figures["policy, remembered"] = await timed(decide, rounds)
    value, _ = await secrets.mint(credential.principal, {"type": "realtime", "model": "delivery"})
    figures["ephemeral secret"] = await timed(lambda: resolver.resolve(value), rounds)

    limits, much = Limits(connection), Allowance(AMPLE, AMPLE)
    scopes = [Scope("global", much), Scope("tenant", much, "bench"), Scope("key", much, "key_bench")]
    amounts = itertools.cycle([1, 10_000])  # by turns, so that both meet the same machine
    both = await timed(lambda: limits.check(scopes, tokens=next(amounts)), 2 * rounds)
    figures["limit check, 1 token"], figures["limit check, 10000 tokens"] = both[::2], both[1::2]
    full = [*scopes[:2], Scope("key", Allowance(rounds, AMPLE), "key_full")]
    await limits.charge(full, requests=rounds)
    figures["limit check, refused"] = await timed(lambda: limits.check(full, tokens=1), rounds)
    if limits.local_answers:
        raise RuntimeError("the store was away during the measurement")
    await trail.flush()
    await accounts.close()
    await postgres.close()
    await connection.close()
    return figures


async def first_use_ms(keys: ApiKeys, key: str) -> float:
    """Milliseconds of a key's first use in a process."""
    accounts = AccountStatusCache(keys)
    who = Authenticator(keys, accounts, None)
    began_s = time.perf_counter()
    await who.authenticate(key)
    taken_ms = (time.perf_counter() - began_s) * 1000
    await who.close()
    await accounts.close()
    return taken_ms


async def among_guesses(keys: ApiKeys, key: str) -> list[float]:
    """Milliseconds of a key's first use while GUESSES random keys are checked all the time."""
    taken_ms = []
    for _ in range(COLD_ROUNDS):
        accounts = AccountStatusCache(keys)
        who = Authenticator(keys, accounts, None)
        guesses = [asyncio.create_task(who.authenticate(new_key().text)) for _ in range(GUESSES)]
        await asyncio.sleep(0)
        began_s = time.perf_counter()
        await who.authenticate(key)
        taken_ms.append((time.perf_counter() - began_s) * 1000)
        await asyncio.gather(*guesses, return_exceptions=True)
        await who.close()
        await accounts.close()
    return taken_ms


async def run(rounds: int) -> dict[str, list[float]]:
    """Start both servers on a temporary folder, measure, stop them."""
    with tempfile.TemporaryDirectory() as name:
        folder = DataFolder(Path(name))
        valkey = EmbeddedValkey(folder.path / "valkey", folder.sockets)
        postgres = EmbeddedPostgres(folder.path / "postgres", folder.sockets)
        try:
            await valkey.start()
            await postgres.start()
            return await measure(valkey.url, postgres.url, rounds)
        finally:
            await valkey.stop()
            await postgres.stop()
            folder.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Latency of authentication and of limit checks.")
    parser.add_argument("--rounds", type=int, default=2000)
    figures = uvloop.run(run(parser.parse_args().rounds))
    table = Table("what", "p50 ms", "p99 ms", "rounds", title="The gate")
    told = {}
    for name, taken_ms in figures.items():
        cuts = statistics.quantiles(taken_ms, n=100)
        told[name] = {"p50_ms": round(cuts[49], 3), "p99_ms": round(cuts[98], 3), "rounds": len(taken_ms)}
        table.add_row(name, f"{cuts[49]:.3f}", f"{cuts[98]:.3f}", str(len(taken_ms)))
    Console(stderr=True).print(table)
    print(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()
