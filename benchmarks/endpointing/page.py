"""`docs/endpointing.md` and its picture, from the frontier."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.endpointing.corpus import UNSEEN
from benchmarks.endpointing.frontier import KIND_SETTING, MACHINES, PAUSED_SHARE, Frontier, KindRow, Row
from benchmarks.endpointing.recorded_turn import Recording
from benchmarks.figures.kept import ROOT

from agentvoicebox.turns.endpointing import EAGERNESS

PAGE = ROOT / "docs" / "endpointing.md"
PICTURE = ROOT / "docs" / "images" / "endpointing.svg"
COLUMNS = (
    "setting", "decision p50 / p95", "first sound p50 / p95", "cut, pause inside", "cut, one in five", "yes, no, number p50",
    "decodes a turn",
)  # fmt: skip
KIND_COLUMNS = (
    "turns",
    "count",
    "cut",
    "words in p50",
    "decision p50 / p95",
    "of those with words within 300 ms: count, decision p50",
)
PRICE_COLUMNS = (
    "finished sentence / may go on", "first sound p50 / p95", "mean", "cut, pause inside", "of these after a whole answer",
    "cut, one in five",
)  # fmt: skip
LABELS = {"any agent": "semantic_vad, any agent", "delivery": "semantic_vad, delivery agent"}
COLOURS = {"server_vad": "#8a8a8a", "any agent": "#0072B2", "delivery": "#D55E00"}

TEMPLATE = Path(__file__).with_name("page.md")


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table, as text."""
    return (
        row.setting,
        f"{row.decision_p50:.0f} / {row.decision_p95:.0f}",
        f"{row.sound_p50:.0f} / {row.sound_p95:.0f}",
        f"{row.cut_paused:g}",
        f"{row.cut_weighted:g}",
        f"{row.sure_p50:.0f}",
        f"{row.probes:g}",
    )


def kind_cells(row: KindRow) -> tuple[str, ...]:
    """A row of the table of kinds, as text."""
    decision = "" if row.decision_p50 is None else f"{row.decision_p50:.0f} / {row.decision_p95:.0f}"
    prompt = str(row.prompt) if row.prompt_p50 is None else f"{row.prompt}, {row.prompt_p50:.0f}"
    return (row.kind, str(row.turns), f"{row.cut:g}", f"{row.words_p50:.0f}", decision, prompt)


def write(recording: Recording, found: Sequence[Frontier]) -> None:
    """Write the page and its picture."""
    PAGE.write_text(text(recording, found), encoding="utf-8")
    PICTURE.parent.mkdir(exist_ok=True)
    _draw([each for each in found if each.split == UNSEEN])


def text(recording: Recording, found: Sequence[Frontier]) -> str:
    """The page."""
    decodes = [decode.ms for turn in recording.turns for decode in turn.decodes]
    waits = [
        f"| `{name}` | {each.asked_ms:g} ms | {each.finished_ms:g} ms | {each.undecided_ms:g} ms | {each.cap_ms / 1000:g} s |"
        for name, each in EAGERNESS.items()
    ]
    return TEMPLATE.read_text(encoding="utf-8").format(
        waits="\n".join(waits),
        tables="\n\n".join(_table(each) for each in found if each.split == UNSEEN),
        kinds="\n\n".join(_kind_table(each) for each in found if each.split == UNSEEN),
        prices=_price_table(next(each for each in found if each.split == UNSEEN)),
        share=100 * PAUSED_SHARE,
        turns=len(recording.turns),
        voices=len({turn.voice for turn in recording.turns}),
        tuning=sum(turn.split != UNSEEN for turn in recording.turns),
        decode=statistics.median(decodes),
        chunk=statistics.median(recording.first_chunk_ms),
        processor=recording.machine.get("processor", "an unknown processor"),
        flags=recording.machine.get("flags", ""),
    )


def _table(found: Frontier) -> str:
    title = f"**{_engines(found)}**, {found.rows[0].turns} turns of unseen voices:"
    return _lines(title, COLUMNS, [cells(row) for row in found.rows])


def _kind_table(found: Frontier) -> str:
    return _lines(f"**{_engines(found)}**, `{KIND_SETTING}`:", KIND_COLUMNS, [kind_cells(row) for row in found.kinds])


def _price_table(found: Frontier) -> str:
    rows = [
        (
            row.setting,
            f"{row.sound_p50:.0f} / {row.sound_p95:.0f}",
            f"{row.sound_mean:.0f}",
            f"{row.cut_paused:g}",
            f"{row.cut_answered:g}",
            f"{row.cut_weighted:g}",
        )
        for row in found.prices
    ]
    return _lines(f"**{_engines(found)}**, `{KIND_SETTING}` with other waits:", PRICE_COLUMNS, rows)


def _engines(found: Frontier) -> str:
    share = MACHINES[found.machine]
    if share == 1:
        return "Engines as recorded"
    return f"Engines that take {share:g} of that time, as a processor with AVX-512 was measured to"


def _lines(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [title, "", f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def _draw(found: Sequence[Frontier]) -> None:
    """Cut-offs against the first sound, a panel a machine; a bar reaches from the median to the 95th percentile."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    matplotlib.rcParams["svg.hashsalt"] = "endpointing"  # the same figures give the same bytes
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, each in zip(figure.subplots(1, len(found), sharey=True), found, strict=True):
        for group, colour in COLOURS.items():
            rows = [row for row in each.rows if group in row.setting]
            axes.plot(
                [r.sound_p50 for r in rows],
                [r.cut_paused for r in rows],
                "o-",
                color=colour,
                label=LABELS.get(group, group),
                ms=5,
            )
            axes.hlines(
                [r.cut_paused for r in rows],
                [r.sound_p50 for r in rows],
                [r.sound_p95 for r in rows],
                color=colour,
                lw=0.7,
            )
            for row in rows:
                name = row.setting.removeprefix("server_vad ").removeprefix("semantic_vad ").partition(",")[0]
                axes.annotate(
                    name, (row.sound_p50, row.cut_paused), textcoords="offset points", xytext=(4, 5), fontsize=8
                )
        axes.set(
            title=f"engines {each.machine}",
            xlabel="first sound, ms: median, and to the 95th percentile",
            xlim=(0, 2_600),
        )
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set(ylabel="cut off, % of turns with a pause inside", ylim=(0, 100))
    figure.axes[0].legend(frameon=False)
    figure.savefig(PICTURE, metadata={"Date": None})
