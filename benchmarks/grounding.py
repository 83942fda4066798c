"""The grounding report: what passes, what is refused, what is said in its place, and what a clause costs.

`python benchmarks/grounding.py [--generated 10000] [--json FILE]`. A clause counts as refused when its sentence is. The held-out
and unseen corpora were not tuned on; their lines are not printed, so that they stay so, but the replacements said for them are.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.kit.grounding_corpus import corpus, facts_of  # noqa: E402
from tests.kit.grounding_generator import generated  # noqa: E402

from agentvoicebox_delivery.grounding.clauses import cut  # noqa: E402
from agentvoicebox_delivery.grounding.grounder import Grounder, check_whole  # noqa: E402
from agentvoicebox_delivery.grounding.judgement import judge  # noqa: E402

CORPORA = (
    "adversarial",
    "honest",
    "held_out_adversarial",
    "held_out_honest",
    "hotline_adversarial_seen",
    "hotline_honest_seen",
    "hotline_adversarial_development",
    "hotline_honest_development",
    "hotline_adversarial_unseen",
    "hotline_honest_unseen",
)


def report_of(name: str) -> dict[str, Any]:
    """Rates of one corpus, by kind, and its misjudged lines."""
    is_adversarial = "adversarial" in name
    totals: Counter[str] = Counter()
    misjudged: Counter[str] = Counter()
    lines = []
    clauses = refused = 0
    for line in corpus(name):
        verdicts = check_whole(line.text, facts_of(line.scene))
        clauses += len(verdicts)
        refused += sum(not verdict.allowed for verdict in verdicts)
        totals[line.kind] += 1
        if all(verdict.allowed for verdict in verdicts) == is_adversarial:
            misjudged[line.kind] += 1
            reasons = [verdict.reason for verdict in verdicts if not verdict.allowed]
            lines.append({"scene": line.scene, "text": line.text, "reasons": reasons})
    return {
        "replies": totals.total(),
        "misjudged": misjudged.total(),
        "rate": misjudged.total() / totals.total(),
        "clauses": clauses,
        "clauses_refused": refused,
        "kinds": {kind: {"replies": totals[kind], "misjudged": misjudged[kind]} for kind in sorted(totals)},
        "lines": [] if name.startswith("held_out") or name.endswith("unseen") else lines,
    }


def replacements(name: str) -> list[dict[str, str]]:
    """Each replacement that was said for a corpus, with the caller's question, once; to be read aloud."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for line in corpus(name):
        facts = facts_of(line.scene)
        grounder = Grounder(facts)
        heard = [*grounder.feed(line.text), *grounder.flush()]
        for said in heard:
            if said not in cut(line.text):
                key = (facts.question, said.strip())
                found.setdefault(
                    key, {"scene": line.scene, "asked": facts.question, "said": said.strip(), "heard": "".join(heard)}
                )
    return list(found.values())


def generated_report(count: int) -> dict[str, int]:
    """Made parcels: true lines refused, false lines passed."""
    found = {"pairs": count, "true_refused": 0, "false_passed": 0}
    for true, false in generated(seed=1, count=count):
        found["true_refused"] += not all(verdict.allowed for verdict in check_whole(true.text, true.facts))
        found["false_passed"] += all(verdict.allowed for verdict in check_whole(false.text, false.facts))
    return found


def costs_us() -> dict[str, float]:
    """Microseconds a clause on this machine, facts gathered before; and what gathering them takes."""
    clauses = [(clause, facts_of(line.scene)) for line in corpus("honest") for clause in cut(line.text)]
    samples = sorted(_timed_us(partial(judge, clause, facts)) for clause, facts in clauses)
    return {
        "clauses": float(len(samples)),
        "p50": statistics.median(samples),
        "p99": samples[int(0.99 * len(samples))],
        "max": samples[-1],
    }


def _timed_us(work: Callable[[], object]) -> float:
    """The best of five: what the work takes where nothing else runs."""
    spans = []
    for _ in range(5):
        begun = time.perf_counter_ns()
        work()
        spans.append(time.perf_counter_ns() - begun)
    return min(spans) / 1_000


def main() -> None:
    """Print the tables; write JSON when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generated", type=int, default=10_000, help="pairs of made lines (default %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the report as JSON")
    given = parser.parse_args()
    report: dict[str, Any] = {name: report_of(name) for name in CORPORA}
    report["generated"] = generated_report(given.generated)
    report["cost_us"] = costs_us()
    report["replacements"] = {name: replacements(name) for name in CORPORA}
    print(f"{'corpus':<28}{'replies':>9}{'misjudged':>11}{'rate':>9}{'clauses':>9}{'refused':>9}{'rate':>9}")
    for name in CORPORA:
        row = report[name]
        print(
            f"{name:<28}{row['replies']:>9}{row['misjudged']:>11}{row['rate']:>9.2%}{row['clauses']:>9}{row['clauses_refused']:>9}"
            f"{row['clauses_refused'] / row['clauses']:>9.2%}"
        )
        for kind, counts in row["kinds"].items():
            if kind:
                print(f"  {kind:<26}{counts['replies']:>9}{counts['misjudged']:>11}")
    made, cost = report["generated"], report["cost_us"]
    print(f"generated: {made['pairs']} pairs, {made['true_refused']} true refused, {made['false_passed']} false passed")
    print(f"cost of a clause: p50 {cost['p50']:.0f} µs, p99 {cost['p99']:.0f} µs, max {cost['max']:.0f} µs")
    for name in CORPORA:
        for line in report[name]["lines"]:
            print(f"misjudged in {name}: [{line['scene']}] {line['text']}  {line['reasons']}")
    for name in CORPORA:
        for each in report["replacements"][name]:
            print(f"said in {name}: asked {each['asked']!r}: {each['said']}")
    text = json.dumps(report, ensure_ascii=False, indent=1)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
