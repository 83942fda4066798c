"""Callers who are misheard as a neighbour whose parcel exists, with telephone numbers, dates and prices around the number.

    python benchmarks/look_alikes.py [--callers 1040] [--parcels 3000] [--seed 1] [--show 3]

Texts only, no sound: the dialogue, the look-up and the comparison with existing numbers are real. Prints one JSON object; exit
code 1 when another person's parcel was told, or a parcel without a yes although a neighbour is one slip away. A thousand callers
take about two minutes of processor time.
"""

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the look-up is that of another benchmark

from benchmarks.spoken_ids import look_up

from agentvoicebox_delivery.evals import id_sentences


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--callers", type=int, default=1040)
    parser.add_argument("--parcels", type=int, default=3000, help="in the catalogue, at least")
    parser.add_argument("--seed", type=int, default=1, help="another seed is another corpus")
    parser.add_argument("--show", type=int, default=3, help="print so many calls that went wrong, word by word")
    options = parser.parse_args()
    began_s = time.process_time()
    callers = id_sentences.people(options.callers, seed=options.seed)
    ids = id_sentences.parcels(callers, options.parcels, seed=options.seed)
    desk = look_up(ids)
    outcomes = [id_sentences.call(caller, desk) for caller in callers]
    wrong = [outcome for outcome in outcomes if outcome.is_wrong]
    unasked = [outcome for outcome in outcomes if outcome.reported_id and not outcome.confirmed]
    for outcome in [*wrong, *unasked][: options.show]:
        print("\n".join(outcome.lines), file=sys.stderr)
    result = {
        "benchmark": "look_alikes",
        "callers": len(callers),
        "parcels": len(ids),
        "own": sum(outcome.is_own for outcome in outcomes),
        "wrong": len(wrong),
        "told_without_a_yes": len(unasked),
        "cpu_s": round(time.process_time() - began_s, 1),
    }
    print(json.dumps(result, indent=2))
    return 1 if wrong or unasked else 0


if __name__ == "__main__":
    sys.exit(main())
