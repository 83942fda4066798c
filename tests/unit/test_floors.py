"""The floors of ARCHITECTURE.md hold: imports go down only, roles never import each other, pure floors stay pure, and no
file of the platform imports an agent kit.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PLATFORM, KIT = "agentvoicebox", "agentvoicebox_delivery"
SOURCE = Path(__file__).parents[2] / "src"
ROOT = SOURCE / PLATFORM

FLOORS = {
    0: {"errors", "ids", "clock", "loopback", "request_source", "text"},
    1: {"wire", "audio"},
    2: {"turns", "privacy", "resilience"},
    3: {"engine"},
    4: {"ports"},
    5: {
        "settings",
        "telemetry",
        "broker",
        "providers",
        "storage",
        "processes",
        "http_server",
        "console",
        "realtime_client",
    },
    6: {"limits", "sessions", "tools", "interactions", "tenancy", "policy", "events"},
    7: {"kits", "agents"},
    8: {"gateway", "workers", "webhook", "client", "telephony", "webrtc"},
    9: {"evals"},
    10: {"supervisor", "cli"},
}
FLOOR_OF = {room: floor for floor, rooms in FLOORS.items() for room in rooms}
ROLES = FLOORS[8]
PURE_FLOORS = range(4)
PURE_KIT_ROOMS = {"numbers", "dialogue", "grounding", "parcels"}
# What a pure file may import besides our own pure files: no I/O, no randomness, no clock, no event loop.
PURE_LIBRARIES = {"msgspec", "numpy"}
PURE_MODULES = {
    "abc", "array", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "datetime",
    "difflib", "enum", "functools",
    "hashlib", "heapq", "ipaddress", "itertools", "json", "math", "operator", "re", "string", "struct", "types", "typing",
    "unicodedata",
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
    """What the source of a file in a room of the platform imports that it may not."""
    found = []
    floor = FLOOR_OF[room]
    is_pure = floor in PURE_FLOORS and room != CLOCK_READER
    for name in imports_of(source):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if package == PLATFORM:
            found += _upward(room, floor, target)
        elif package.startswith(f"{PLATFORM}_"):
            found.append(f"{room} belongs to the platform and imports the kit {package}")
        elif is_pure and package not in PURE_LIBRARIES | PURE_MODULES:
            found.append(f"{room} (floor {floor}) is pure and imports {name}")
    return found


def _upward(room: str, floor: int, target: str) -> list[str]:
    if target in ("", "__version__") or target == room:
        return []
    if target not in FLOOR_OF:
        return [f"{room} imports {target}, which is on no floor"]
    if FLOOR_OF[target] > floor:
        return [f"{room} (floor {floor}) imports {target} (floor {FLOOR_OF[target]})"]
    return [f"role {room} imports role {target}"] if {room, target} <= ROLES else []


def kit_violations(room: str, source: str) -> list[str]:
    """What the source of a file in a pure room of the delivery kit imports that it may not."""
    found = []
    for name in imports_of(source):
        package, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        is_pure = (
            package in PURE_LIBRARIES | PURE_MODULES
            or (package == PLATFORM and FLOOR_OF.get(target, 99) in PURE_FLOORS)
            or (package == KIT and target in PURE_KIT_ROOMS)
        )
        if not is_pure:
            found.append(f"{room} is pure and imports {name}")
    return found


def circles(arrows: dict[str, set[str]]) -> list[str]:
    """Rooms that reach themselves over others."""

    def reach(room: str) -> set[str]:
        seen: set[str] = set()
        waiting = list(arrows.get(room, ()))
        while waiting:
            each = waiting.pop()
            if each not in seen:
                seen.add(each)
                waiting += arrows.get(each, ())
        return seen

    return sorted(room for room in arrows if room in reach(room))


def arrows_between(files: Iterable[Path], package: str) -> dict[str, set[str]]:
    """Which room imports which."""
    arrows: dict[str, set[str]] = defaultdict(set)
    for path in files:
        room = path.relative_to(SOURCE / package).parts[0].removesuffix(".py")
        for name in imports_of(path.read_text()):
            parts = name.split(".")
            if parts[0] == package and len(parts) > 1 and parts[1] not in (room, "__version__"):
                arrows[room].add(parts[1])
    return arrows


FILES = sorted(path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py")
KIT_FILES = sorted((SOURCE / KIT).rglob("*.py"))
PURE_KIT_FILES = [path for path in KIT_FILES if path.relative_to(SOURCE / KIT).parts[0] in PURE_KIT_ROOMS]
GATEWAY_FLOORS = {
    0: {"audio", "admission", "media", "pace"},
    1: {"state"},
    2: {"call"},
    3: {"audio_api"},
    4: {"http"},
    5: {"role"},
}
"""The rooms of the gateway: imports between them go down only, and two rooms of one floor don't know each other."""
GATEWAY_FLOOR_OF = {room: floor for floor, rooms in GATEWAY_FLOORS.items() for room in rooms}


def gateway_violations(room: str, source: str) -> list[str]:
    """What the source of a file in the gateway's `room` imports from the gateway's other rooms that it may not."""
    found = []
    for name in imports_of(source):
        parts = name.split(".")
        if parts[:2] != [PLATFORM, "gateway"] or len(parts) < 3 or parts[2] == room:
            continue
        target = parts[2]
        if target not in GATEWAY_FLOOR_OF:
            found.append(f"gateway/{room} imports {target}, which is on no floor of the gateway")
        elif GATEWAY_FLOOR_OF[target] >= GATEWAY_FLOOR_OF[room]:
            found.append(f"gateway/{room} imports gateway/{target}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_down_only_and_never_to_a_kit(path: Path) -> None:
    assert violations(room_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", PURE_KIT_FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_pure_rooms_of_the_delivery_kit_import_pure_things_only(path: Path) -> None:
    assert kit_violations(path.parent.name, path.read_text()) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    assert circles(arrows_between(FILES, PLATFORM)) == []
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("engine", "import asyncio"),
        ("engine", "import structlog"),
        ("turns", "from time import monotonic"),
        ("privacy", "def f():\n    import random"),
        ("wire", "from agentvoicebox.engine import inputs"),
        ("gateway", "from agentvoicebox.workers.stt import SttWork"),
        ("ports", "from agentvoicebox.broker.keys import PREFIX"),
        ("storage", "from agentvoicebox.tools.definition import Tool"),
        ("supervisor", "from agentvoicebox_delivery.kit import DeliveryKit"),
        ("engine", "from agentvoicebox.cellar import wine"),
    ],
)
def test_a_planted_violation_is_caught(room: str, source: str) -> None:
    assert len(violations(room, source)) == 1


def test_a_planted_violation_in_the_kit_is_caught() -> None:
    assert kit_violations("numbers", "from agentvoicebox.storage.postgres import Postgres") != []
    assert kit_violations("numbers", "from agentvoicebox_delivery.sources import sanity") != []


def test_every_room_is_on_a_floor() -> None:
    assert {room_of(path) for path in FILES} == FLOOR_OF.keys()


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
