"""The spoken-id report: how many callers are served who say their tracking number, over which line, by which voice.

    python benchmarks/spoken_ids.py [--quick] [--callers 120] [--profile fast] [--json FILE] [--picture FILE] [--show 5]

Callers with numbers of every kind speak with several voices over several lines into the real recogniser; what it writes goes
through the real dialogue, the real look-up core and a catalogue of a few thousand parcels that holds near neighbours of the
callers' own. Each caller answers truthfully, and gives the number again when asked. Sounds and transcripts are kept under
~/.cache, so a second run is quick. Prints a table, and one JSON object.
"""

import argparse
import json
import os
import sys
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track as with_progress
from rich.table import Table

from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_stt
from agentvoicebox_delivery.evals import id_corpus
from agentvoicebox_delivery.evals.id_caller import Caller, CallOutcome, RunLookUp
from agentvoicebox_delivery.evals.id_corpus import Person
from agentvoicebox_delivery.evals.id_voices import LINES, SPEAKERS, CallerVoices, LineRecogniser, Speaker
from agentvoicebox_delivery.numbers import tracking
from agentvoicebox_delivery.numbers.inquiry import Inquiry
from agentvoicebox_delivery.parcels import track
from agentvoicebox_delivery.parcels.shipment import Shipment, ShipmentStatus

SEED = 1
PARCELS = 4_000
MODELS = Path("var/models").resolve()  # prepared voices are kept where `serve` keeps them
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentvoicebox" / "spoken-ids"
GOALS = {"clean": 95.0, "telephone µ-law": 90.0, "telephone A-law": 90.0}  # % served within two tries
# eSpeak's voices are formants, no recording of a person: what they lose on a telephone, people don't. Told apart for that.
KINDS = {"piper": "natural voices", "kokoro": "natural voices", "espeak": "formant voices"}
GROUPS = ("kind", "voice", "shape")
WIDTH = 132  # of the table where there is no terminal


def look_up(parcels: Sequence[str]) -> RunLookUp:
    """The tool over these parcels, found as the catalogue finds them."""
    shelf = {each: Shipment(each, ShipmentStatus.IN_TRANSIT, None, date(2026, 11, 24)) for each in parcels}

    def answer(arguments: dict[str, object]) -> str:
        question = Inquiry.of(arguments)
        if question is None:
            asked = track.wanted(str(arguments["tracking_id"]))
            return track.outcome(
                asked, [shelf[each.tracking_id] for each in asked if each.tracking_id in shelf]
            ).as_json()
        keys = question.keys()
        near = [shipment for tracking_id, shipment in shelf.items() if keys.fit(tracking_id)]
        found = [shelf[each.tracking_id] for each in question.asked if each.tracking_id in shelf]
        return question.outcome(found, near).as_json()

    return answer


def raw_id(heard: str) -> str:
    """What a program sees that only takes out what is neither letter nor digit."""
    return tracking.normalize("".join(character for character in heard if character.isalnum() or character.isspace()))


def one_call(
    person: Person, speaker: Speaker, line: str, recogniser: LineRecogniser, desk: RunLookUp
) -> dict[str, Any]:
    """Everything measured of one call."""
    heard = recogniser.transcribe(speaker, line, person.opening)
    found = tracking.candidates(heard)
    outcome: CallOutcome = Caller(person, lambda text: recogniser.transcribe(speaker, line, text), desk).call()
    return {
        "line": line,
        "voice": speaker.name,
        "kind": KINDS[speaker.engine],
        "shape": person.shape,
        "id": person.tracking_id,
        "heard": heard,
        "raw": raw_id(heard).endswith(person.tracking_id),
        "best": bool(found) and found[0].tracking_id == person.tracking_id,
        "among": any(each.tracking_id == person.tracking_id for each in found),
        "tries": outcome.tries if outcome.is_own else 0,
        "wrong": outcome.is_wrong,
        "unconfirmed": outcome.is_own and not outcome.confirmed,
        "turns": outcome.turns,
        "outcome": outcome.lines,
    }


def share(calls: Sequence[dict[str, Any]], holds: str, most: int = 0) -> float:
    """Per cent of the calls of which something holds; of tries, that they were 1 to `most`."""
    good: int = sum(1 <= call["tries"] <= most if most else bool(call[holds]) for call in calls)
    return round(100 * good / max(1, len(calls)), 1)


def row(calls: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The figures of some calls."""
    return {
        "calls": len(calls),
        "raw": share(calls, "raw"),
        "best": share(calls, "best"),
        "among": share(calls, "among"),
        "served_1": share(calls, "tries", 1),
        "served_2": share(calls, "tries", 2),
        "served_3": share(calls, "tries", 3),
        "unasked": share(calls, "unconfirmed"),
        "turns": round(sum(call["turns"] for call in calls) / max(1, len(calls)), 2),
        "wrong": sum(call["wrong"] for call in calls),
    }


def figures(calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All figures, by line, by line and voice, by line and kind of number."""
    by_line: dict[str, Any] = {}
    for line in LINES:
        here = [call for call in calls if call["line"] == line]
        if not here:
            continue
        groups: dict[str, dict[str, list[dict[str, Any]]]] = {by: defaultdict(list) for by in GROUPS}
        for call in here:
            for by in groups:
                groups[by][call[by]].append(call)
        by_line[line] = row(here) | {
            by: {name: row(some) for name, some in sorted(those.items())} for by, those in groups.items()
        }
    return {"benchmark": "spoken_ids", "lines": by_line, "wrong_parcels": sum(call["wrong"] for call in calls)}


COLUMNS = {
    "calls": "calls", "raw": "raw", "best": "best", "among": "among", "served_1": "1 try", "served_2": "2 tries",
    "served_3": "3 tries", "unasked": "unasked", "turns": "turns", "wrong": "wrong",
}  # fmt: skip


def show(result: dict[str, Any], console: Console) -> None:
    """The tables, for people."""
    table = Table("line", "", *COLUMNS.values(), title="Spoken ids: % of calls", title_justify="left")
    for line, values in result["lines"].items():
        goal = GOALS.get(line)
        reached = "" if goal is None else f"  (goal {goal:.0f})"
        table.add_row(line + reached, "all", *(f"{values[key]:g}" for key in COLUMNS), style="bold", end_section=False)
        for by in GROUPS:
            for name, some in values[by].items():
                table.add_row("", name, *(f"{some[key]:g}" for key in COLUMNS))
        table.add_section()
    console.print(table)


def draw(result: dict[str, Any], path: Path) -> None:
    """For each line: what the recogniser gives, and what the dialogue makes of it; natural voices, formants beneath."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    stages = {"raw": "as written", "best": "first reading", "among": "among the readings", "served_1": "served, 1 try",
              "served_2": "served, 2 tries", "served_3": "served, 3 tries"}  # fmt: skip
    colours = ("#BBBBBB", "#E69F00", "#F0E442", "#56B4E9", "#0072B2", "#009E73")
    kinds = sorted({kind for values in result["lines"].values() for kind in values["kind"]}, reverse=True)
    figure = Figure(figsize=(11, 0.6 + 3.9 * len(kinds)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(f"Spoken tracking numbers ({result['profile']}); wrong parcels told: {result['wrong_parcels']}")
    lines = list(result["lines"])
    for axes, kind in zip(figure.subplots(len(kinds), 1, squeeze=False)[:, 0], kinds, strict=True):
        for index, (key, name) in enumerate(stages.items()):
            heights = [result["lines"][line]["kind"].get(kind, {}).get(key, 0.0) for line in lines]
            at = [place + (index - 2.5) * 0.14 for place in range(len(lines))]
            bars = axes.bar(at, heights, width=0.13, color=colours[index], label=name)
            axes.bar_label(bars, fmt="%.0f", fontsize=7)
        for place, line in enumerate(lines):
            if line in GOALS:
                axes.plot([place - 0.45, place + 0.45], [GOALS[line]] * 2, color="#D55E00", linestyle="--", linewidth=1)
        axes.set_xticks(range(len(lines)), lines)
        axes.set(ylabel="% of callers", ylim=(0, 112), title=kind)
        axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=6, fontsize=8, loc="lower center", bbox_to_anchor=(0.5, -0.3))
    figure.savefig(path, dpi=130)


def main() -> int:
    """Run it; exit code 1 when another person's parcel was told."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="24 callers on two lines")
    parser.add_argument("--callers", type=int, default=120, help="each calls once over each line")
    parser.add_argument(
        "--lines", nargs="*", default=list(LINES), choices=LINES, metavar="LINE", help=f"of {', '.join(LINES)}"
    )
    parser.add_argument("--profile", default="fast", help="of the recogniser: fast, accurate, moonshine")
    parser.add_argument("--seed", type=int, default=SEED, help="another seed is another corpus")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where sounds and transcripts are kept")
    parser.add_argument("--kokoro-voices", type=Path, help="a folder with Kokoro's voices, when they are not installed")
    parser.add_argument("--json", type=Path, help="also write the JSON to this file")
    parser.add_argument("--picture", type=Path, help="draw it (.png or .svg)")
    parser.add_argument("--show", type=int, default=0, help="print so many calls that failed, word by word")
    parser.add_argument("--calls", type=Path, help="write every call, word by word, to this file (JSON lines)")
    options = parser.parse_args()
    callers, lines = (24, ["clean", "telephone µ-law"]) if options.quick else (options.callers, options.lines)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    MODELS.mkdir(parents=True, exist_ok=True)
    catalogue = ModelCatalogue(cache_dir=MODELS)
    voices = CallerVoices(catalogue, options.cache / "sounds", kokoro_voices=options.kokoro_voices)
    speakers = [speaker for speaker in SPEAKERS if voices.can_speak(speaker)]
    recogniser = LineRecogniser(
        build_stt(options.profile, catalogue, threads=1), options.profile, voices, options.cache / "heard"
    )
    people = id_corpus.people(callers, seed=options.seed)
    desk = look_up(id_corpus.parcels(people, PARCELS, seed=options.seed))
    todo = [(person, speakers[person.number % len(speakers)], line) for person in people for line in lines]
    calls = [one_call(*each, recogniser, desk) for each in with_progress(todo, description="calls", console=console)]
    result = figures(calls) | {
        "profile": options.profile,
        "callers": callers,
        "parcels": PARCELS,
        "decoded": recogniser.decoded,
    }
    show(result, console)
    for call in [call for call in calls if call["wrong"] or not 1 <= call["tries"] <= 2][: options.show]:
        console.rule(f"{call['id']} · {call['line']} · {call['voice']}" + (" · WRONG PARCEL" if call["wrong"] else ""))
        console.print("\n".join(call["outcome"]), markup=False, highlight=False)
    if options.calls:
        options.calls.write_text("".join(json.dumps(call, ensure_ascii=False) + "\n" for call in calls))
    told = json.dumps(result, indent=2, ensure_ascii=False)
    print(told)
    if options.json:
        options.json.write_text(told + "\n")
    if options.picture:
        draw(result, options.picture)
    return 1 if result["wrong_parcels"] else 0


if __name__ == "__main__":
    sys.exit(main())
