"""Backchannels: how many of a listener's "mm-hmm" and "yeah" leave the agent alone, and how soon it yields to an interruption.

    python benchmarks/backchannels.py [--quick] [--profile fast] [--decode-ms 90] [--voices held-out] [--show 10] [--json FILE]

Voices say backchannels and interruptions over several lines while the agent speaks. Real voice activity model, real recogniser;
the product's own detector decides, window by window, in audio time. The words of a probe come when the recorded decode is over,
so that a run is repeatable on a busy machine. Sounds and decodes are kept under ~/.cache. Prints a table and one JSON object.

Delays are ms of audio from the first sound of the voice that interrupts. After the last sound sent the server sends none; what
the client has queued is played until it gets `speech_started`. `before` is the rule without a judgement: 128 ms of voice.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: threads that spin would count as decoding

import numpy as np
from rich.console import Console
from rich.table import Table

from agentvoicebox.audio.pcm import Int16Array, samples_of_ms, to_float
from agentvoicebox.ports.providers import Stt
from agentvoicebox.providers.catalogue import ModelCatalogue
from agentvoicebox.providers.registry import build_stt
from agentvoicebox.providers.vad.silero import SileroVad
from agentvoicebox.turns.detector import Detector
from agentvoicebox.turns.facts import SpeechIgnored, SpeechStarted, SpeechStopped, SpeechSuspected
from agentvoicebox.turns.vad import WINDOW_SAMPLES
from agentvoicebox.wire.audio_config import TurnDetection
from agentvoicebox.workers.stt import TAIL_SAMPLES
from agentvoicebox_delivery.evals.id_voices import SPEAKERS, CallerVoices, Speaker, through_line

sys.path.insert(0, str(Path(__file__).parents[1]))
from benchmarks.figures.machine import machine
from tests.kit.hum import RATE_HZ, hum

BACKCHANNELS = (
    "Mm-hmm.",
    "Uh-huh.",
    "Yeah.",
    "Okay.",
    "Right.",
    "I see.",
    "Sure.",
    "Got it.",
    "Yeah, okay.",
    "Yeah, yeah.",
)
INTERRUPTIONS = (
    "Stop.", "No.", "Wait.", "Hold on.", "Stop, wait.", "No, that's not it.", "What did you say?", "Who is this?",
    "Sorry, can you repeat that?", "I have another question.", "Yes, but I need it today.", "Okay, stop.",
    "That is the wrong parcel.", "One moment please.",
)  # fmt: skip
LINES = ("clean", "noise 20 dB", "telephone µ-law")
# The limits of `turns.barge_in` were chosen on these; the other voices were not listened to.
TUNED_ON = (0, 3, 5, 6, 8)
QUICK = (1, 4, 7)
HUM_PITCHES_HZ = (95.0, 120.0, 150.0, 185.0, 220.0)
LEAD_MS, AFTER_MS = 1_000, 2_500
FRAME_MS = 10
HOP_MS = 5.0  # a result on its way through the store
QUIET_AMPLITUDE = 8.0  # of a line without a voice
ONSET_SHARE = 0.03  # of the loudest 10 ms: from there on there is a voice
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agentvoicebox" / "backchannels"
WIDTH = 140


@dataclass
class Clip:
    """A caller's voice over the agent's, 16 kHz.

    Attributes:
        kind: `hum`, `word` (a backchannel) or `interruption`.
        voiced: which 10 ms of it have a voice.
    """

    kind: str
    text: str
    voice: str
    line: str
    pcm: Int16Array
    voiced: list[bool]
    key: str = ""

    def __post_init__(self) -> None:
        """A name by content, for the cache."""
        self.key = hashlib.sha256(self.pcm.tobytes()).hexdigest()[:24]

    def onset_ms(self, after_ms: float = 0.0) -> float:
        """Where the voice begins, or begins again after `after_ms`."""
        first = round(after_ms / FRAME_MS)
        return float(self.voiced.index(True, first) * FRAME_MS) if True in self.voiced[first:] else after_ms


@dataclass
class Decodes:
    """The recogniser with a memory: texts and processor seconds by clip and stretch.

    Attributes:
        fixed_ms: taken in place of the recorded times; None for those.
    """

    stt: Stt
    path: Path
    fixed_ms: float | None
    known: dict[str, tuple[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Read what earlier runs decoded."""
        if self.path.exists():
            self.known = {key: (text, took) for key, (text, took) in json.loads(self.path.read_text()).items()}

    def text(self, clip: Clip, start: int, end: int) -> tuple[str, float]:
        """The words of a stretch, and how many ms the recogniser takes for them."""
        key = f"{clip.key} {start} {end}"
        if key not in self.known:
            began = time.process_time()
            text = self.stt.transcribe(clip.pcm[start:end]).text
            self.known[key] = text, (time.process_time() - began) * 1000
        text, took_ms = self.known[key]
        return text, took_ms if self.fixed_ms is None else self.fixed_ms

    def keep(self) -> None:
        """Write all of it."""
        self.path.write_text(json.dumps(self.known))


@dataclass
class Outcome:
    """What a detector did with a clip; ms of audio since the voice began, None for what did not happen."""

    clip: Clip
    held_ms: float | None = None
    started_ms: float | None = None
    ignored_ms: float | None = None
    text: str | None = None


def mm_hmm(pitch_hz: float) -> Int16Array:
    """A closed mouth's "mm-hmm", the second half higher, 24 kHz."""
    breath = np.zeros(int(0.04 * RATE_HZ), np.int16)
    return np.concatenate((hum(0.22, pitch_hz), breath, hum(0.3, pitch_hz * 1.25)))


def clips(voices: CallerVoices, speakers: list[Speaker]) -> list[Clip]:
    """The corpus."""
    sounds = [("hum", "mm-hmm", f"hum {pitch:.0f} Hz", mm_hmm(pitch)) for pitch in HUM_PITCHES_HZ]
    sounds += [("hum", "mmm", f"hum {pitch:.0f} Hz", hum(0.45, pitch)) for pitch in HUM_PITCHES_HZ]
    for kind, texts in (("word", BACKCHANNELS), ("interruption", INTERRUPTIONS)):
        sounds += [(kind, text, speaker.name, voices.say(speaker, text)) for text in texts for speaker in speakers]
    found = []
    for seed, (kind, text, voice, pcm) in enumerate(sounds):
        for line in LINES:
            heard = through_line(line, pcm, seed)
            noise = np.random.default_rng(seed).standard_normal
            lead, after = (noise(samples_of_ms(ms)) * QUIET_AMPLITUDE for ms in (LEAD_MS, AFTER_MS))
            whole = np.concatenate((lead.astype(np.int16), heard, after.astype(np.int16)))
            found.append(Clip(kind, text, voice, line, whole, voiced_frames(through_line("clean", pcm, seed))))
    return found


def voiced_frames(pcm: Int16Array) -> list[bool]:
    """Which 10 ms of a clean voice and the silence before it are loud."""
    frames = pcm[: len(pcm) // 160 * 160].reshape(-1, 160).astype(np.float64)
    level = np.sqrt(np.mean(frames**2, axis=1))
    return [False] * (LEAD_MS // FRAME_MS) + [bool(each > level.max() * ONSET_SHARE) for each in level]


def probabilities(vad: SileroVad, pcm: Int16Array) -> list[float]:
    """The voice activity model's opinion on each window."""
    state, found = vad.new_state()[None], []
    for at in range(0, len(pcm) - WINDOW_SAMPLES + 1, WINDOW_SAMPLES):
        probability, state = vad.probabilities(to_float(pcm[at : at + WINDOW_SAMPLES])[None], state)
        found.append(float(probability[0]))
    return found


def listen(clip: Clip, voiced: list[float], decodes: Decodes, *, judges: bool) -> Outcome:
    """Play a clip to a detector whose agent speaks all the time."""
    detector = Detector(TurnDetection(), judges_interruptions=judges)
    detector.agent_is_speaking = True
    outcome, onset_ms = Outcome(clip), clip.onset_ms()
    answers: list[tuple[float, int, str]] = []  # when it is there, up to where, the words
    for number, probability in enumerate(voiced, start=1):
        end = number * WINDOW_SAMPLES
        now_ms = end / 16
        while answers and answers[0][0] <= now_ms:
            _, sample, outcome.text = answers.pop(0)
            detector.set_transcript(outcome.text, sample)
        for fact in detector.feed(probability, end):
            since_ms = now_ms - onset_ms
            match fact:
                case SpeechSuspected():
                    outcome.held_ms = since_ms
                case SpeechIgnored(end_sample=end_sample):  # "okay … stop": what interrupts begins after it
                    outcome.ignored_ms, outcome.held_ms = since_ms, None
                    onset_ms = clip.onset_ms(end_sample / 16)
                case SpeechStarted():
                    outcome.started_ms = since_ms
                    outcome.held_ms = since_ms if outcome.held_ms is None else outcome.held_ms
                    return outcome
                case SpeechStopped():
                    return outcome
        suspicion, wanted = detector.suspicion, detector.words_wanted(end)
        if suspicion is None:
            continue
        if detector.speech_end_sample > suspicion.unheard_sample:
            sound = clip.pcm[suspicion.unheard_sample : detector.speech_end_sample]
            suspicion.hear(sound, detector.speech_end_sample)
        if wanted is not None:
            suspicion.asked(wanted)
            text, took_ms = decodes.text(clip, suspicion.start_sample, min(end, wanted + TAIL_SAMPLES))
            answers.append((now_ms + took_ms + HOP_MS, wanted, text))
    return outcome


def spread(values: list[float]) -> dict[str, float]:
    """p50 and p95."""
    if not values:
        return {}
    return {f"p{share}": round(float(np.percentile(values, share)), 1) for share in (50, 95)}


def summary(outcomes: list[Outcome], before: list[Outcome]) -> dict[str, Any]:
    """The figures of some clips: of the judgement, and of the rule before it."""
    said = [each for each in outcomes if each.clip.kind != "interruption"]
    cut = [each for each in outcomes if each.clip.kind == "interruption"]
    yielded = [each for each in cut if each.started_ms is not None]
    old = [each for each in before if each.clip.kind == "interruption" and each.started_ms is not None]
    old_said = [each for each in before if each.clip.kind != "interruption"]
    return {
        "backchannels": len(said),
        "ignored": share(said, lambda each: each.started_ms is None),
        "ignored_before": share(old_said, lambda each: each.started_ms is None),
        "interruptions": len(cut),
        "yielded": share(cut, lambda each: each.started_ms is not None),
        "last_sound_ms": spread([each.held_ms for each in yielded if each.held_ms is not None]),
        "speech_started_ms": spread([each.started_ms for each in yielded if each.started_ms is not None]),
        "speech_started_before_ms": spread([each.started_ms for each in old if each.started_ms is not None]),
        "decided_nothing_ms": spread([each.ignored_ms for each in said if each.ignored_ms is not None]),
    }


def share(outcomes: list[Outcome], holds: Any) -> float | None:
    """The share of some for which something holds."""
    return round(sum(map(holds, outcomes)) / len(outcomes), 3) if outcomes else None


def table(groups: dict[str, dict[str, Any]]) -> Table:
    """The figures, one group a row."""
    shown = Table(title="a voice over the agent's; ms of audio from the voice's first sound, p50 / p95")
    for heading in (
        "",
        "backchannels",
        "ignored",
        "before",
        "interruptions",
        "yielded",
        "last sound",
        "started",
        "before",
    ):
        shown.add_column(heading, justify="left" if not heading else "right")
    for name, found in groups.items():
        pairs = ["last_sound_ms", "speech_started_ms", "speech_started_before_ms"]
        delays = [" / ".join(f"{value:.0f}" for value in found[pair].values()) for pair in pairs]
        cells = [
            found["backchannels"],
            found["ignored"],
            found["ignored_before"],
            found["interruptions"],
            found["yielded"],
        ]
        shown.add_row(name, *("" if cell is None else str(cell) for cell in cells), *delays)
    return shown


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="three voices")
    parser.add_argument("--voices", choices=("all", "held-out", "tuned-on"), default="all")
    parser.add_argument("--profile", default="fast", help="the recogniser")
    parser.add_argument("--decode-ms", type=float, help="how long a decode takes, in place of the recorded times")
    parser.add_argument("--show", type=int, default=0, help="how many mistakes are shown")
    parser.add_argument("--json", type=Path, help="where the figures go, too")
    wanted = parser.parse_args()
    console = Console(stderr=True, width=None if sys.stderr.isatty() else WIDTH)
    catalogue = ModelCatalogue(cache_dir=Path("var/models").resolve())
    voices = CallerVoices(catalogue, CACHE / "sounds")
    speakers = [
        speaker
        for number, speaker in enumerate(SPEAKERS)
        if (not wanted.quick or number in QUICK)
        and (wanted.voices == "all" or (number in TUNED_ON) == (wanted.voices == "tuned-on"))
        and voices.can_speak(speaker)
    ]
    stt = build_stt(wanted.profile, catalogue, threads=1, device="cpu")
    decodes = Decodes(stt, CACHE / f"decodes-{wanted.profile}.json", wanted.decode_ms)
    vad = SileroVad()
    outcomes, before = [], []
    for number, clip in enumerate(clips(voices, speakers)):
        voiced = probabilities(vad, clip.pcm)
        outcomes.append(listen(clip, voiced, decodes, judges=True))
        before.append(listen(clip, voiced, decodes, judges=False))
        if number % 50 == 49:
            decodes.keep()
            console.print(f"{number + 1} clips")
    decodes.keep()
    groups = {"all": summary(outcomes, before)}
    for name in dict.fromkeys(each.clip.line for each in outcomes):
        groups[name] = summary(*([o for o in many if o.clip.line == name] for many in (outcomes, before)))
    for name in ("hum", "word"):
        groups[f"{name}s alone"] = summary(*([o for o in many if o.clip.kind == name] for many in (outcomes, before)))
    for name in dict.fromkeys(each.clip.voice.split()[0] for each in outcomes):
        groups[name] = summary(*([o for o in many if o.clip.voice.startswith(name)] for many in (outcomes, before)))
    console.print(table(groups))
    wrong = [o for o in outcomes if (o.started_ms is None) == (o.clip.kind == "interruption")]
    for each in wrong[: wanted.show]:
        console.print(
            f"wrong: {each.clip.text!r} by {each.clip.voice}, {each.clip.line}: {each.text!r}", each.started_ms
        )
    times = [took for _, took in decodes.known.values()]
    figures = {
        "benchmark": "backchannels", "machine": machine(), "profile": wanted.profile, "voices": [s.name for s in speakers],
        "decode_ms": spread(times) if wanted.decode_ms is None else wanted.decode_ms, "groups": groups,
    }  # fmt: skip
    print(json.dumps(figures, indent=1, ensure_ascii=False))
    if wanted.json:
        wanted.json.write_text(json.dumps(figures, indent=1, ensure_ascii=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
