"""Attacks on a server of this machine, and what an unconcerned caller beside them notices: `make attack`.

    python benchmarks/attack.py [--only NAME …] [--seconds 6] [--list] [--json FILE]
    python benchmarks/attack.py --storm [--seconds 30]

Starts a server of its own (real processes, loopback) and attacks that one alone. Each attack that runs beside the neighbour takes
four times `--seconds`, two quiet and two beside, and a few more; all of them about 45 minutes with the usual 6. A check takes
seconds, those of hung processes up to three minutes. A server that does not hold an attack is replaced before the next one. Exit
code 1 when one does not hold. The last core belongs to neighbour and attacker, the others to the server; the attacker runs at the
low priority.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import uvloop

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.attacks.attack import Attack, Beside, Check, attacks  # noqa: E402
from benchmarks.attacks.server import AttackedServer, attacked_server, cores  # noqa: E402
from benchmarks.attacks.storm import storm  # noqa: E402
from benchmarks.attacks.table import list_attacks, show_storm, show_trials, verdict  # noqa: E402
from benchmarks.attacks.trial import Trial, run_beside, run_check  # noqa: E402


async def run(chosen: list[Attack], seconds: float, keep: Callable[[list[Trial]], None]) -> list[Trial]:
    """Each attack in turn, against a server that held the one before. `keep` is called after each, with all so far."""
    os.sched_setaffinity(0, cores()[1])
    trials: list[Trial] = []
    stack, server, kind = AsyncExitStack(), None, ""
    try:
        for attack in chosen:
            print(f"{attack.name}: {attack.does}", file=sys.stderr)
            if server is None or attack.server != kind:
                await stack.aclose()
                kind = attack.server
                server = await stack.enter_async_context(attacked_server(kind))
            trials.append(await _one(attack, server, seconds))
            if not trials[-1].holds or (isinstance(attack, Check) and attack.spoils):
                server = None
            keep(trials)
            print(f"  {verdict(trials[-1])}", file=sys.stderr)
    finally:
        await stack.aclose()
    return trials


async def _one(attack: Attack, server: AttackedServer, seconds: float) -> Trial:
    if isinstance(attack, Beside):
        return await run_beside(attack, server, seconds)
    return await run_check(attack, server)


def write(figures: dict[str, Any], path: Path | None) -> None:
    """Write the figures so far: a run is long, and may be stopped."""
    if path is not None:
        path.write_text(json.dumps(figures) + "\n")


def main() -> int:
    """Attack, print, and say whether everything held."""
    known = attacks()
    parser = argparse.ArgumentParser(
        description="Attacks on a server of this machine: about 45 minutes for all of them."
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", default=[], help="attacks, or kinds of attacks by number")
    parser.add_argument("--seconds", type=float, default=6.0, help="of each of the four spans of an attack")
    parser.add_argument("--json", type=Path, help="where to write the figures, too")
    parser.add_argument(
        "--storm", action="store_true", help="2,000 strangers beside 20 calls that speak: 4 times --seconds"
    )
    parser.add_argument("--list", action="store_true", help="say what the attacks do, and run none")
    options = parser.parse_args()
    unknown = set(options.only) - known.keys() - {each.kind for each in known.values()}
    if unknown:
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    chosen = [
        each for each in known.values() if not options.only or each.name in options.only or each.kind in options.only
    ]
    if options.list:
        list_attacks(chosen)
        return 0
    figures: dict[str, Any] = {"benchmark": "attack", "cores": os.cpu_count()}
    if options.storm:
        result = uvloop.run(storm(options.seconds))
        figures["storm"], holds = result.as_json(), result.holds
        show_storm(result)
    else:

        def keep(trials: list[Trial]) -> None:
            figures["trials"] = [each.as_json() for each in trials]
            write(figures, options.json)

        trials = uvloop.run(run(chosen, options.seconds, keep))
        holds = all(each.holds for each in trials)
        show_trials(trials)
    write(figures, options.json)
    print(json.dumps(figures))
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
