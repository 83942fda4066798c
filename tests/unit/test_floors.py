"""The floors of ARCHITECTURE.md hold: imports go down only, roles never import each other, and floors 0-3 stay pure."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = "agentvoicebox"
ROOT = Path(__file__).parents[2] / "src" / PACKAGE

FLOORS = {
    0: {"errors", "ids", "clock"},
    1: {"wire", "audio"},
    2: {"turns", "delivery", "resilience"},
    3: {"engine"},
    4: {"ports"},
    5: {
        "agents", "broker", "http_server", "interactions", "limits", "policy", "processes", "providers", "sessions",
        "settings", "shipments", "storage", "telemetry", "tenancy", "tools",
    },
    6: {"gateway", "workers", "webhook", "evals"},
    7: {"supervisor", "cli"},
}  # fmt: skip
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
IMPURE = {
    "asyncio", "socket", "select", "threading", "subprocess", "random", "secrets", "uuid", "http", "urllib", "redis",
    "httpx", "asyncpg", "time", "datetime.datetime.now",
}  # fmt: skip
CLOCK_READER = "clock"  # the one room that may read the time


def imports_of(source: str) -> Iterator[str]:
    """Every absolute module name that the source imports, also inside functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the floor"
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def violations(room: str, source: str) -> list[str]:
    """What the source of a file in `room` imports that it may not."""
    found = []
    floor = FLOOR_OF[room]
    for name in imports_of(source):
        parts = name.split(".")
        if parts[0] == PACKAGE:
            target = parts[1] if len(parts) > 1 else ""
            if target in ("", "__version__") or target == room:
                continue
            if target not in FLOOR_OF:
                found.append(f"{room} imports {target}, which stands on no floor")
            elif FLOOR_OF[target] > floor:
                found.append(f"{room} (floor {floor}) imports {target} (floor {FLOOR_OF[target]})")
            elif floor == FLOOR_OF[target] == 6:
                found.append(f"role {room} imports role {target}")
        elif floor <= 3 and (parts[0] in IMPURE or name in IMPURE) and room != CLOCK_READER:
            found.append(f"{room} (floor {floor}) is pure and imports {name}")
    return found


GATEWAY_FLOORS = {
    0: {"audio", "admission"},
    1: {"state"},
    2: {"call"},
    3: {"http"},
    4: {"role"},
}
"""The rooms of the gateway: imports between them go down only, and two rooms of one floor don't know each other."""
GATEWAY_FLOOR_OF = {room: floor for floor, rooms in GATEWAY_FLOORS.items() for room in rooms}


def gateway_violations(room: str, source: str) -> list[str]:
    """What the source of a file in the gateway's `room` imports from the gateway's other rooms that it may not."""
    found = []
    for name in imports_of(source):
        parts = name.split(".")
        if parts[:2] != [PACKAGE, "gateway"] or len(parts) < 3 or parts[2] == room:
            continue
        target = parts[2]
        if target not in GATEWAY_FLOOR_OF:
            found.append(f"gateway/{room} imports {target}, which stands on no floor of the gateway")
        elif GATEWAY_FLOOR_OF[target] >= GATEWAY_FLOOR_OF[room]:
            found.append(f"gateway/{room} imports gateway/{target}")
    return found


FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only(path: Path) -> None:
    assert violations(room_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("engine", "import asyncio"),
        ("turns", "from time import monotonic"),
        ("delivery", "def f():\n    import random"),
        ("wire", "from agentvoicebox.engine import inputs"),
        ("gateway", "from agentvoicebox.workers.stt import SttWork"),
        ("ports", "from agentvoicebox.broker.keys import PREFIX"),
        ("engine", "from agentvoicebox.cellar import wine"),
    ],
)
def test_a_planted_violation_is_caught(room: str, source: str) -> None:
    assert len(violations(room, source)) == 1


GATEWAY_FILES = [path for path in FILES if room_of(path) == "gateway" and path != ROOT / "gateway" / "__init__.py"]


def gateway_room_of(path: Path) -> str:
    return path.relative_to(ROOT / "gateway").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", GATEWAY_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_between_the_gateways_rooms_go_down_only(path: Path) -> None:
    assert gateway_violations(gateway_room_of(path), path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("audio", "from agentvoicebox.gateway.admission.quota import Quota"),
        ("admission", "from agentvoicebox.gateway.call.call import Call"),
        ("call", "def f():\n    from agentvoicebox.gateway import http"),
        ("state", "import agentvoicebox.gateway.role"),
        ("http", "from agentvoicebox.gateway.cellar import wine"),
    ],
)
def test_a_planted_violation_between_the_gateways_rooms_is_caught(room: str, source: str) -> None:
    assert len(gateway_violations(room, source)) == 1


def test_every_room_of_the_gateway_stands_on_a_floor() -> None:
    assert {gateway_room_of(path) for path in GATEWAY_FILES} == GATEWAY_FLOOR_OF.keys()


def test_every_room_stands_on_a_floor() -> None:
    rooms = {room_of(path) for path in FILES}
    assert rooms <= FLOOR_OF.keys()
