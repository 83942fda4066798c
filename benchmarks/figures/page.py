"""The kept figures → docs/figures.md. Pure."""

from collections.abc import Mapping

from benchmarks.figures.kept import Entry
from benchmarks.figures.measurement import MEASUREMENTS, Measurement

HEAD = """# Figures

Generated from [figures.json](figures.json) by `make figures`; do not edit.

Each figure with the command, the commit and the machine that it was measured with. Run the same command on your own
machine before you decide ([sizing](sizing.md)). What the load suite measures, and how: [load](load.md).
"""
BUSY = 1.0  # processes beside the measured ones, that is, before they start


def page(entries: Mapping[str, Entry]) -> str:
    """The page. Measurements without an entry are named at its end."""
    parts = [HEAD]
    parts += [_section(each, entries[each.name]) for each in MEASUREMENTS if each.name in entries]
    missing = [each.name for each in MEASUREMENTS if each.name not in entries]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        parts.append(f'Not measured yet: {names}. `make figures ARGS="{" ".join(missing)}"` measures them.\n')
    return "\n".join(parts)


def _section(measurement: Measurement, entry: Entry) -> str:
    machine = entry.machine
    where = (
        f"{machine['processor']}, {machine['cores']} cores ({machine['flags']}), {machine['memory']}, "
        f"{machine['system']}, Python {machine['python']}"
    )
    notes = [entry.note] if entry.note else []
    if entry.load_before > BUSY:
        notes.append(
            f"The machine was busy (load average {entry.load_before:g} before the run): times are upper bounds."
        )
    lines = [
        f"## {measurement.title}",
        "",
        measurement.about,
        "",
        *(f"**{note}**\n" for note in notes),
        "| what | figure |",
        "|---|---|",
        *(f"| {what} | {figure} |" for what, figure in measurement.rows(entry.result)),
        "",
        f"`{entry.command}`, commit `{entry.commit}`, {entry.day}, on {where}.",
        "",
    ]
    return "\n".join(lines)
