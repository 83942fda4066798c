"""`agentvoicebox demo`: one whole spoken call on this machine, and the proof of it.

Decides what the demo caller says and what counts as the truth: the facts of the parcel's row in the catalogue must be in
what the agent said, and its state must be recognisable in the recorded sound. The server is a real `serve` on a free port
with a temporary data folder, gone at the end.
"""

import asyncio
import json
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.status import Status

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.cli.console import console
from agentvoicebox.cli.local_server import local_server
from agentvoicebox.cli.places import catalogue, model_cache
from agentvoicebox.cli.transcript import live_transcript
from agentvoicebox.client.call_record import CallRecord, CallTurn
from agentvoicebox.client.call_report import (
    conversation_text,
    parts_table,
    summary,
    sums_that_fail,
    write_events,
    write_recording,
)
from agentvoicebox.client.caller import LiveCall, open_call
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.dialing import CallOptions
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.timeline import draw_timeline
from agentvoicebox.providers.stt.whisper_short import WhisperShort
from agentvoicebox.settings import Settings
from agentvoicebox_delivery.grounding.words import spoken_date
from agentvoicebox_delivery.numbers.readback import ending
from agentvoicebox_delivery.parcels.shipment import Shipment
from agentvoicebox_delivery.sources.demo_data import parcels

PARCEL = "PKG004"
OPENING = "Hi, can you tell me where my parcel is?"
NUMBER = "It's P, K, G, zero, zero, four."  # dictated: run together, recognisers hear a third zero now and then
NUMBER_AGAIN = "Sure, it's P K G, double zero four."
YES = "Yes, that's right."
FAREWELL = "No, that's all. Thank you."
LINES = (OPENING, NUMBER, NUMBER_AGAIN, YES, FAREWELL)
QUESTIONS_ANSWERED = 3  # a caller who is asked more often than this gives up
EAR_S = 28.0  # the recogniser takes up to 30 s


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the conversation, recording, events and picture.")] = Path(
        "demo-output"
    ),
    url: Annotated[str, typer.Option(help="Call this server instead of starting one.")] = "",
    key: Annotated[str, typer.Option(help="Bearer key for --url.")] = "local",
) -> None:
    """A whole spoken call, start to end, on this machine: no key, no GPU, no microphone.

    Starts the server, and a caller who asks where a parcel is, is asked for the number, speaks it, and is told. Everything
    is real: speech recognition, dialogue, look-up in PostgreSQL, speech synthesis, Valkey between them.

    Writes conversation.txt, call.wav (stereo: caller left, agent right), events.jsonl, timeline.png and .svg, summary.json.
    Exit code 0 only if the caller was told the true status.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = asyncio.run(_demo(url, key))
    shipment = next(each for each in parcels(datetime.now(UTC).date()) if each.tracking_id == PARCEL)
    faults = untrue(record, shipment, Settings.load())
    _write(record, out, faults)
    console.print()
    console.print(parts_table(record.turns))
    files = "conversation.txt, call.wav, timeline.png, events.jsonl, summary.json"
    console.print(f"\nThe whole call is in [bold]{out}/[/]: {files}")
    for miscount in sums_that_fail(record):
        console.print(f"[yellow]the account is off:[/] {miscount}")
    if faults:
        for fault in faults:
            console.print(f"[bold red]not as it should be:[/] {fault}")
        raise typer.Exit(1)
    console.print(f"[bold green]The caller was told the truth[/] about {PARCEL}: {shipment.status.replace('_', ' ')}.")


async def _demo(url: str, key: str) -> CallRecord:
    settings = Settings.load()
    with console.status("preparing the caller's voice") as status:
        rendered = await asyncio.to_thread(
            speak_lines, LINES, models_dir=settings.models_dir, cache_dir=model_cache(settings)
        )
        lines = dict(zip(LINES, rendered, strict=True))
        if url:
            status.stop()
            return await _call(CallOptions(base_url=url, api_key=key), lines)
        with tempfile.TemporaryDirectory(prefix="agentvoicebox-demo-", ignore_cleanup_errors=True) as folder:
            _share(model_cache(settings), Path(folder))
            async with local_server(Path(folder), progress=_shown_by(status)) as server:
                status.stop()
                console.print(f"the server is ready on {server.url}; the caller dials in\n")
                return await _call(CallOptions(base_url=server.url), lines)


def _share(cache: Path, folder: Path) -> None:
    """Let a throw-away server use prepared models, and keep what it prepares."""
    cache.mkdir(parents=True, exist_ok=True)
    (folder / cache.name).symlink_to(cache, target_is_directory=True)


def _shown_by(status: Status) -> Callable[[str], None]:
    def show(line: str) -> None:
        status.update(f"starting the server: {line[:100]}")

    return show


async def _call(options: CallOptions, lines: dict[str, SpokenLine]) -> CallRecord:
    async with open_call(options, live_transcript(console)) as call:
        await converse(call, lines)
        return call.record()


async def converse(call: LiveCall, lines: dict[str, SpokenLine]) -> None:
    """The caller's side: asks, gives the number, answers questions about it as a person would, says goodbye."""
    await call.stay_connected(0.5)
    await call.say(lines[OPENING])
    turn = await call.say(lines[NUMBER])
    for _ in range(QUESTIONS_ANSWERED):
        answer = _answer_to(turn)
        if turn.problem or not answer:
            break
        turn = await call.say(lines[answer])
    if not turn.problem:
        await call.say(lines[FAREWELL])


def _answer_to(turn: CallTurn) -> str:
    """What the caller says to a question about the number; "" when there is none."""
    reply = turn.replied.lower()
    if "is that" in reply:  # "... is that right?", "... is that your number?"
        understood = ending(PARCEL) in _words(reply)
        return YES if understood else NUMBER_AGAIN
    return NUMBER_AGAIN if "parcel ending" not in reply and "number" in reply else ""


def facts(shipment: Shipment) -> dict[str, str]:
    """What the caller must have been told, in the words that are spoken."""
    told = {"number": ending(shipment.tracking_id), "state": shipment.status.replace("_", " ")}
    if shipment.eta is not None:
        told["day"] = spoken_date(shipment.eta)
    return told


def untrue(record: CallRecord, shipment: Shipment, settings: Settings) -> list[str]:
    """What is wrong with what the caller was told; [] when it was the truth, in words and in sound."""
    found = [f"turn {turn.index}: {turn.problem}" for turn in record.turns if turn.problem]
    said = _words(" ".join(turn.replied for turn in record.turns))
    for name, words in facts(shipment).items():
        if _words(words) not in said:
            found.append(f"the agent never told the {name}: {words}")
    state = facts(shipment)["state"]
    if not any(state in _words(words) for words in _heard(record, settings)):
        found.append(f"'{state}' can't be heard in the recording")
    return found


def _heard(record: CallRecord, settings: Settings) -> list[str]:
    """Each reply as a recogniser hears it in the recording."""
    recogniser = WhisperShort(catalogue(settings).locate("whisper-tiny-en"))
    heard = []
    for turn in record.turns:
        if turn.first_audio_s is None or turn.reply_end_s is None:
            continue
        end_s = min(turn.reply_end_s, turn.first_audio_s + EAR_S)
        pcm = record.agent_pcm[round(turn.first_audio_s * record.rate_hz) : round(end_s * record.rate_hz)]
        heard.append(recogniser.transcribe(resample(pcm, record.rate_hz, INPUT_RATE_HZ)).text)
    return heard


def _words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower().replace("'", "")).split())


def _write(record: CallRecord, out: Path, faults: list[str]) -> None:
    (out / "conversation.txt").write_text(conversation_text(record), encoding="utf-8")
    (out / "summary.json").write_text(json.dumps({**summary(record), "faults": faults}, indent=2), encoding="utf-8")
    write_recording(record, out / "call.wav")
    write_events(record, out / "events.jsonl")
    draw_timeline(record, out / "timeline.png", out / "timeline.svg")
