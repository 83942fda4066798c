"""The frontier: for each setting, how long callers wait against how many are cut off."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from benchmarks.endpointing.call_so_far import NUMBER_SAID
from benchmarks.endpointing.corpus import AFTER_AN_ANSWER
from benchmarks.endpointing.recorded_turn import RecordedTurn, Recording
from benchmarks.endpointing.replay import Machine, Replay, TurnOutcome
from benchmarks.figures.kept import ROOT
from benchmarks.spoken_ids import look_up

from agentvoicebox.turns.agent_evidence import AgentEvidence
from agentvoicebox.turns.endpointing import EAGERNESS
from agentvoicebox.wire.audio_config import TurnDetection
from agentvoicebox_delivery.parcel_evidence import ParcelEvidence

KEPT = ROOT / "docs" / "endpointing.json"
PAUSED_SHARE = 0.2  # turns with a pause inside, in calls; the corpus has more
WITHOUT_WORDS = ("cough",)
SURE = ("yes or no", "number")  # kinds whose end can be known without waiting
KIND_SETTING = "semantic_vad high, delivery"  # whose kinds of turns are listed
PROMPT_MS = 300
# Waits of that eagerness that were tried: after a finished sentence that is no question, and after one that may go on, in ms.
PATIENCE = ((352, 672), (480, 672), (608, 704), (800, 896), (896, 992), (992, 992))


# Engines, as a share of the recorded times: the ratio that was measured between processors with and without AVX-512.
MACHINES = {"as recorded": 1.0, "at 0.27 of that time": 0.27}


class Setting(msgspec.Struct, frozen=True):
    """What a session may choose.

    Attributes:
        name: for the table.
        detection: its turn detection.
        agent: what its agent knows.
    """

    name: str
    detection: TurnDetection
    agent: AgentEvidence


def settings() -> list[Setting]:
    """Fixed silences, and each eagerness with and without an agent that knows its numbers."""
    fixed = [
        Setting(f"server_vad {ms}", TurnDetection(silence_duration_ms=ms), AgentEvidence())
        for ms in (200, 350, 500, 700, 900)
    ]
    semantic = [
        Setting(f"semantic_vad {name}, {of}", TurnDetection(type="semantic_vad", eagerness=name), agent)
        for of, agent in (("any agent", AgentEvidence()), ("delivery", ParcelEvidence()))
        for name in ("low", "medium", "high")
    ]
    return fixed + semantic


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One setting on some turns. Times in ms after the caller's last sound; shares in per cent.

    Attributes:
        decision_p50, decision_p95: the end of a turn that was not cut was decided.
        sound_p50, sound_p95, sound_mean: the first sound of its answer could leave.
        cut_paused: of the turns with a pause inside, those that were cut off.
        cut_answered: likewise, of those that were cut off after a whole answer (AFTER_AN_ANSWER).
        cut_plain: of the others.
        cut_weighted: if one turn in five had a pause inside.
        sure_p50: decision for yes, no and whole numbers in one breath.
        probes: decodes a turn.
        probes_weighted: if one turn in five had a pause inside.
        turns: so many.
    """

    setting: str
    decision_p50: float
    decision_p95: float
    sound_p50: float
    sound_p95: float
    sound_mean: float
    cut_paused: float
    cut_answered: float
    cut_plain: float
    cut_weighted: float
    sure_p50: float
    probes: float
    probes_weighted: float
    turns: int


class KindRow(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of turns under KIND_SETTING. Times in ms after the caller's last sound; shares in per cent.

    Attributes:
        kind: of the corpus.
        turns: so many.
        cut: were ended too early.
        words_p50: the words for all of the turn were in.
        decision_p50, decision_p95: its end was decided, where it was not cut; None: all were cut.
        prompt: turns whose words were in within PROMPT_MS, and that were not cut.
        prompt_p50: decision of these; None for none.
    """

    kind: str
    turns: int
    cut: float
    words_p50: float
    decision_p50: float | None
    decision_p95: float | None
    prompt: int
    prompt_p50: float | None


class Frontier(msgspec.Struct, frozen=True):
    """One split of the voices on one machine (of MACHINES).

    Attributes:
        split, machine: which.
        rows: one a setting.
        kinds: one a kind of turns.
        prices: KIND_SETTING with each of PATIENCE.
    """

    split: str
    machine: str
    rows: tuple[Row, ...]
    kinds: tuple[KindRow, ...]
    prices: tuple[Row, ...]


def read_frontiers() -> list[Frontier]:
    """What the page says. Raises OSError, msgspec.ValidationError."""
    return msgspec.json.decode(KEPT.read_bytes(), type=list[Frontier])


def write_frontiers(found: Sequence[Frontier]) -> None:
    """Keep them for the page."""
    KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def frontier(recording: Recording, split: str, machine: str, most: int | None = None) -> Frontier:
    """Replay turns under each setting.

    Args:
        recording: the corpus.
        split: of the voices: `tuning`, `unseen`, or `` for all.
        machine: one of MACHINES.
        most: so many turns; None for all.
    """
    turns = [each for each in recording.turns if split in ("", each.split) and each.kind not in WITHOUT_WORDS][:most]
    desk = look_up(sorted({NUMBER_SAID, *(each.tracking_id for each in turns if each.tracking_id)}))
    share = MACHINES[machine]
    engines = Machine(share, statistics.median(recording.first_chunk_ms) * share)

    def played(setting: Setting) -> list[tuple[RecordedTurn, TurnOutcome]]:
        return [(turn, Replay(turn, setting.detection, setting.agent, desk, engines).run()) for turn in turns]

    rows, kinds, prices = [], [], []
    for setting in settings():
        outcomes = played(setting)
        rows.append(_row(setting.name, outcomes))
        if setting.name == KIND_SETTING:
            names = dict.fromkeys(turn.kind for turn in turns)
            kinds = [_kind_row(name, [outcome for turn, outcome in outcomes if turn.kind == name]) for name in names]
            for finished_ms, undecided_ms in PATIENCE:
                with _patience(finished_ms, undecided_ms):
                    prices.append(_row(f"{finished_ms} / {undecided_ms}", played(setting)))
    kinds.sort(key=lambda each: (each.cut, each.kind))
    return Frontier(split, machine, tuple(rows), tuple(kinds), tuple(prices))


@contextmanager
def _patience(finished_ms: float, undecided_ms: float) -> Iterator[None]:
    """Other waits for the eagerness of KIND_SETTING."""
    shipped = EAGERNESS["high"]
    EAGERNESS["high"] = msgspec.structs.replace(shipped, finished_ms=finished_ms, undecided_ms=undecided_ms)
    try:
        yield
    finally:
        EAGERNESS["high"] = shipped


def _row(name: str, played: Sequence[tuple[RecordedTurn, TurnOutcome]]) -> Row:
    decisions = [o.decision_ms for _, o in played if o.decision_ms is not None and not o.is_cut]
    sounds = [o.first_sound_ms for _, o in played if o.first_sound_ms is not None]
    sure = [o.decision_ms for t, o in played if t.kind in SURE and o.decision_ms is not None and not o.is_cut]
    paused, plain = [each for each in played if each[0].pauses_ms], [each for each in played if not each[0].pauses_ms]
    cut_paused, cut_plain = (_share([o.is_cut for _, o in some]) for some in (paused, plain))
    return Row(
        setting=name,
        decision_p50=_quantile(decisions, 50),
        decision_p95=_quantile(decisions, 95),
        sound_p50=_quantile(sounds, 50),
        sound_p95=_quantile(sounds, 95),
        sound_mean=round(statistics.fmean(sounds)) if sounds else 0.0,
        cut_paused=cut_paused,
        cut_answered=_share([o.is_cut and t.kind in AFTER_AN_ANSWER for t, o in paused]),
        cut_plain=cut_plain,
        cut_weighted=round(_weighted(cut_paused, cut_plain), 1),
        sure_p50=_quantile(sure, 50),
        probes=round(statistics.fmean(o.probes for _, o in played), 2),
        probes_weighted=round(_weighted(*(statistics.fmean(o.probes for _, o in some) for some in (paused, plain))), 2),
        turns=len(played),
    )


def _weighted(paused: float, plain: float) -> float:
    return PAUSED_SHARE * paused + (1 - PAUSED_SHARE) * plain


def _kind_row(kind: str, outcomes: Sequence[TurnOutcome]) -> KindRow:
    whole = [each for each in outcomes if not each.is_cut and each.decision_ms is not None]
    decisions = [each.decision_ms for each in whole if each.decision_ms is not None]
    words = [each.words_ms for each in outcomes if each.words_ms is not None]
    prompt = [each.decision_ms for each in whole if (each.words_ms or PROMPT_MS + 1) <= PROMPT_MS]
    prompt_ms = [each for each in prompt if each is not None]
    return KindRow(
        kind=kind,
        turns=len(outcomes),
        cut=_share([each.is_cut for each in outcomes]),
        words_p50=_quantile(words, 50),
        decision_p50=_quantile(decisions, 50) if decisions else None,
        decision_p95=_quantile(decisions, 95) if decisions else None,
        prompt=len(prompt_ms),
        prompt_p50=round(statistics.median(prompt_ms)) if prompt_ms else None,
    )


def _quantile(values: list[float], percent: int) -> float:
    if len(values) < 2:
        return round(values[0]) if values else 0.0
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1])


def _share(cuts: list[bool]) -> float:
    return round(100 * sum(cuts) / len(cuts), 1) if cuts else 0.0
