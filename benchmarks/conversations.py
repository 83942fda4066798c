"""The corpus of conversations, graded: how many a hotline would ship.

    python benchmarks/conversations.py [--topic NAME] [--show ABCF] [--json FILE]

Runs the dialogue and the real look-up tool in this process, without sound, and gives the same in each run. Prints a table
by topic and grade, the conversations that have a grade of `--show`, and one JSON object.
"""

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agentvoicebox_delivery.evals.conversations import GRADES, Graded, load, play, score


def shown(graded: Graded, grades: str) -> list[str]:
    """The conversation's turns up to the one with its grade; [] when it has none of `grades`."""
    if graded.grade not in grades:
        return []
    lines = [f"{graded.grade}  {graded.topic} {graded.number}"]
    for turn in graded.turns:
        note = f"   [{turn.grade}: {turn.reason}]" if turn.reason else ""
        lines += [f"      caller: {turn.line}", f"      agent:  {turn.answer}{note}"]
    return lines


def main() -> None:
    """Play, grade and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--topic", default="", help="only this topic")
    options.add_argument("--show", default="", help="print the conversations with these grades, for example CF")
    options.add_argument("--json", type=Path, help="write the score to this file")
    given = options.parse_args()
    played = [play(each) for each in load() if given.topic in ("", each.topic)]
    found = score(played)
    console = Console(width=132, highlight=False)
    for each in played:
        for line in shown(each, given.show):
            console.print(line, markup=False, soft_wrap=True)
    table = Table("topic", "conversations", *GRADES, "A %")
    for topic, row in [*found["topics"].items(), ("all", found["all"])]:
        table.add_row(topic, *(str(value) for value in row.values()))
    console.print(table)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    console.print(json.dumps(found["all"]))


if __name__ == "__main__":
    main()
