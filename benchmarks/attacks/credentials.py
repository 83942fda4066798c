"""Guessed and wrong credentials, as many as go."""

import asyncio
import secrets

from benchmarks.attacks.attack import Attacker, beside
from benchmarks.attacks.connection import dialled
from benchmarks.attacks.target import Target

GOOD_KEYS = "good keys that the server has not seen before are served while it runs"


def _random_key() -> str:
    """A key of the right form that nobody has."""
    return f"sk-avb-{secrets.token_hex(6)}-{secrets.token_urlsafe(32)}"


def _known_prefix(target: Target) -> str:
    """A key with the public prefix of a real one and a wrong secret."""
    return target.acme_key[: len("sk-avb-") + 12] + "-" + secrets.token_urlsafe(32)


async def _ask(attacker: Attacker, number: int, key: str) -> None:
    async with dialled(attacker.target, number) as connection:
        request = f"GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n"
        await connection.send(request.encode())
        line = await connection.reader.readline()
        attacker.count(f"status_{line[9:12].decode() or 'none'}")


@beside("5", holds=GOOD_KEYS)
async def guessed_keys_at_100_a_second(attacker: Attacker) -> None:
    """One address tries 100 random keys a second."""
    tasks: set[asyncio.Task[None]] = set()
    while not attacker.is_over:
        task = asyncio.create_task(_ask(attacker, 0, _random_key()))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@beside("5", holds=GOOD_KEYS)
async def guessed_keys(attacker: Attacker) -> None:
    """64 addresses try random keys as fast as they are answered."""
    await attacker.crowd(64, lambda number: _ask(attacker, number, _random_key()))


@beside("5", holds=GOOD_KEYS)
async def guessed_secrets_of_a_known_key(attacker: Attacker) -> None:
    """64 addresses try wrong secrets behind the public prefix of a real key."""
    await attacker.crowd(64, lambda number: _ask(attacker, number, _known_prefix(attacker.target)))


@beside("5", holds=GOOD_KEYS)
async def guessed_keys_at_the_socket(attacker: Attacker) -> None:
    """64 addresses ask for a WebSocket with random keys, and leave the refusal unanswered."""

    async def one(number: int) -> None:
        async with dialled(attacker.target, number) as connection:
            agreed = await connection.upgrade(attacker.target, key=_random_key())
            attacker.count("upgraded" if agreed else "upgrade_refused")
            await connection.until_closed(2.0)

    await attacker.crowd(64, one)


@beside("12")
async def wrong_words_as_keys(attacker: Attacker) -> None:
    """Keys that are no keys, without pause: each is a refused request."""
    await attacker.crowd(16, lambda number: _ask(attacker, number, secrets.token_hex(8)))
