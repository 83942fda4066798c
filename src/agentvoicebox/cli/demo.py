"""`agentvoicebox demo`: one complete spoken call on this machine, with a check of the answers.

The first kit with a demo call provides the caller's lines and the facts that the answers must contain. The main fact must also
be recognisable in the recorded audio. The server is a real `serve` on a free port with a temporary data folder, which is deleted
at the end.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer

from agentvoicebox.audio.rates import INPUT_RATE_HZ
from agentvoicebox.audio.resample import resample
from agentvoicebox.cli.console import Steps, console
from agentvoicebox.cli.local_server import LocalServer, local_server
from agentvoicebox.cli.places import catalogue, model_cache, share_models
from agentvoicebox.cli.transcript import live_transcript
from agentvoicebox.client.call_record import CallRecord
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
from agentvoicebox.client.line import SpokenLine
from agentvoicebox.client.timeline import draw_timeline
from agentvoicebox.errors import SettingsError
from agentvoicebox.kits.demo import KitDemo
from agentvoicebox.kits.registry import Kits, kits_of, load_settings
from agentvoicebox.providers.stt.whisper_short import WhisperShort
from agentvoicebox.realtime_client.dialing import CallOptions
from agentvoicebox.settings import Settings

QUESTIONS_ANSWERED = 3  # after more questions the caller gives up
STEP_STATES = (" starting", " ready after", " stopping")  # in the lines of `serve` that are steps
LONGEST_REPLY_S = 28.0  # the recogniser accepts up to 30 s


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the transcript, recording, events and timeline.")] = Path(
        "demo-output"
    ),
    url: Annotated[str, typer.Option(help="Call this server instead of starting one.")] = "",
    key: Annotated[str, typer.Option(help="Bearer key for --url.")] = "local",
) -> None:
    """Make a complete spoken call on this machine: no key, no GPU, no microphone.

    Starts the server, and a simulated caller who talks to the agent of the first kit with a demo call. Everything else is real:
    speech recognition, dialogue, tools, speech synthesis, Valkey and PostgreSQL.

    Writes conversation.txt, call.wav (stereo: caller left, agent right), events.jsonl, timeline.svg, summary.json.
    Exit code 0 only if the agent's answers were right.
    """
    settings = load_settings()
    script = demo_of(kits_of(settings))
    out.mkdir(parents=True, exist_ok=True)
    record = asyncio.run(_demo(url, key, script, settings))
    with Steps("listening to the recording: are the answers right?"):
        faults = faults_of(record, script, settings)
        _write(record, out, faults)
    console.print()
    console.print(parts_table(record.turns))
    files = "conversation.txt, call.wav, timeline.svg, events.jsonl, summary.json"
    console.print(f"\nThe call is in [bold]{out}/[/]: {files}")
    for miscount in sums_that_fail(record):
        console.print(f"[yellow]latencies do not add up:[/] {miscount}")
    if faults:
        for fault in faults:
            console.print(f"[bold red]fault:[/] {fault}")
        raise typer.Exit(1)
    console.print(f"[bold green]{script.proof()}[/]")


def demo_of(kits: Kits) -> KitDemo:
    """The demo call of the first kit that has one. Raises SettingsError if none has."""
    for kit in kits:
        if (found := kit.demo()) is not None:
            return found
    raise SettingsError(
        f"no kit of AVB_KITS ({', '.join(kits.names) or 'none'}) has a demo call; try AVB_KITS=delivery"
    )


async def _demo(url: str, key: str, script: KitDemo, settings: Settings) -> CallRecord:
    words = (*script.opening, *script.answers, script.closing_line)
    with Steps("preparing the caller's voice") as steps:
        rendered = await asyncio.to_thread(
            speak_lines, words, models_dir=settings.models_dir, cache_dir=model_cache(settings)
        )
        lines = dict(zip(words, rendered, strict=True))
        if url:
            steps.stop()
            return await _call(CallOptions(base_url=url, api_key=key, model=script.agent), script, lines)
        with tempfile.TemporaryDirectory(prefix="agentvoicebox-demo-", ignore_cleanup_errors=True) as folder:
            share_models(model_cache(settings), Path(folder))
            async with _server(Path(folder), steps) as server:
                console.print(f"the server is ready on {server.url}; the call begins\n")
                return await _call(CallOptions(base_url=server.url, model=script.agent), script, lines)


@asynccontextmanager
async def _server(folder: Path, steps: Steps) -> AsyncIterator[LocalServer]:
    """A server for the call; its steps are shown while it starts and stops."""

    def show(line: str) -> None:
        if any(state in line for state in STEP_STATES):
            shown.show(f"  {line}")

    shown = steps
    shown.show("starting the server")
    with ExitStack() as ending:
        async with local_server(folder, progress=show) as server:
            steps.stop()
            yield server
            console.print()
            shown = ending.enter_context(Steps("the call is over; stopping the server"))


async def _call(options: CallOptions, script: KitDemo, lines: dict[str, SpokenLine]) -> CallRecord:
    async with open_call(options, live_transcript(console)) as call:
        await converse(call, script, lines)
        return call.record()


async def converse(call: LiveCall, script: KitDemo, lines: dict[str, SpokenLine]) -> None:
    """The caller's side: the opening lines, answers to the agent's questions, and the closing line."""
    await call.stay_connected(0.5)
    for words in script.opening:
        turn = await call.say(lines[words])
    for _ in range(QUESTIONS_ANSWERED):
        answer = script.answer_to(turn.replied)
        if turn.problem or not answer:
            break
        turn = await call.say(lines[answer])
    if not turn.problem:
        await call.say(lines[script.closing_line])


def faults_of(record: CallRecord, script: KitDemo, settings: Settings) -> list[str]:
    """Faults of the call in the transcript and in the recorded audio; [] if there are none."""
    faults = [f"turn {turn.index}: {turn.problem}" for turn in record.turns if turn.problem]
    faults += script.faults(" ".join(turn.replied for turn in record.turns))
    main_fact = script.audible()
    if not any(_words(main_fact) in _words(each) for each in _transcripts(record, settings)):
        faults.append(f"'{main_fact}' is not recognised in the recording")
    return faults


def _transcripts(record: CallRecord, settings: Settings) -> list[str]:
    """Transcript of each reply, recognised from the recording."""
    recogniser = WhisperShort(catalogue(settings).locate("whisper-tiny-en"))
    transcripts = []
    for turn in record.turns:
        if turn.first_audio_s is None or turn.reply_end_s is None:
            continue
        end_s = min(turn.reply_end_s, turn.first_audio_s + LONGEST_REPLY_S)
        pcm = record.agent_pcm[round(turn.first_audio_s * record.rate_hz) : round(end_s * record.rate_hz)]
        transcripts.append(recogniser.transcribe(resample(pcm, record.rate_hz, INPUT_RATE_HZ)).text)
    return transcripts


def _words(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.lower().replace("'", "")).split())


def _write(record: CallRecord, out: Path, faults: list[str]) -> None:
    (out / "conversation.txt").write_text(conversation_text(record), encoding="utf-8")
    (out / "summary.json").write_text(json.dumps({**summary(record), "faults": faults}, indent=2), encoding="utf-8")
    write_recording(record, out / "call.wav")
    write_events(record, out / "events.jsonl")
    draw_timeline(record, out / "timeline.svg")
