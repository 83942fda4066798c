"""`agentvoicebox call`: calls a Realtime server from the terminal."""

import asyncio
from pathlib import Path
from typing import Annotated, Literal

import typer

from agentvoicebox.cli.console import FAILED, Steps, console, show_error
from agentvoicebox.cli.microphone import talk
from agentvoicebox.cli.places import model_cache
from agentvoicebox.cli.transcript import live_transcript
from agentvoicebox.client.call_record import CallRecord
from agentvoicebox.client.call_report import parts_table, write_events, write_recording
from agentvoicebox.client.caller import open_call
from agentvoicebox.client.caller_voice import speak_lines
from agentvoicebox.client.line import line_from_wav
from agentvoicebox.client.timeline import draw_timeline
from agentvoicebox.errors import ClientError
from agentvoicebox.kits.registry import load_settings
from agentvoicebox.realtime_client.dialing import DEFAULT_MODEL, CallOptions


def call(
    wav: Annotated[list[Path] | None, typer.Argument(help="WAV files to speak, one a turn.")] = None,
    say: Annotated[list[str] | None, typer.Option(help="A sentence to speak; repeat it for more turns.")] = None,
    text: Annotated[list[str] | None, typer.Option(help="A sentence to type; repeat it for more turns.")] = None,
    url: Annotated[
        str, typer.Option(help="Base URL of the server, as for OpenAI clients.")
    ] = "http://127.0.0.1:8000/v1",
    key: Annotated[
        str, typer.Option(envvar="OPENAI_API_KEY", help="Bearer key; a local server accepts any text.")
    ] = "local",
    model: Annotated[
        str, typer.Option(help="The agent, or the model of another server. OpenAI's names mean the default agent.")
    ] = DEFAULT_MODEL,
    audio: Annotated[
        Literal["pcm", "pcmu", "pcma"], typer.Option(help="Audio format: 24 kHz PCM, or G.711 as in telephony.")
    ] = "pcm",
    ca: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) to trust beside the system's, for a server with its own.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="Write the call as a stereo WAV: caller left, agent right.")
    ] = None,
    timeline: Annotated[Path | None, typer.Option(help="Draw a timeline of the call (.svg).")] = None,
    events: Annotated[Path | None, typer.Option(help="Write every event as JSON lines.")] = None,
) -> None:
    """Call any Realtime server with recordings, spoken sentences, typed lines, or your microphone.

    The lines are sent in order (recordings, spoken sentences, typed lines); each waits until the agent has finished.
    Without lines the microphone is used, if `sounddevice` and a sound card are available; Ctrl-C hangs up.

      agentvoicebox call --say "Where is my parcel?" --say "P K G zero zero four" --record call.wav

      agentvoicebox call question.wav --timeline call.svg

      agentvoicebox call --text "Where is parcel PKG004?"

      agentvoicebox call --url https://api.openai.com/v1 --model gpt-realtime --say "Hello there."
    """
    options = CallOptions(base_url=url, api_key=key, model=model, audio=audio, ca_file="" if ca is None else str(ca))
    for path in (record, timeline, events):
        if path is not None and not path.absolute().parent.is_dir():
            raise ClientError(f"there is no folder {path.absolute().parent} to write {path.name} into")
    if timeline is not None and timeline.suffix.lower() != ".svg":
        raise ClientError(f"a timeline is an SVG picture: name it {timeline.with_suffix('.svg').name}")
    is_scripted = bool(wav or say or text)
    recorded = asyncio.run(_scripted(options, wav or [], say or [], text or []) if is_scripted else talk(options))
    if any(turn.account for turn in recorded.turns):
        console.print(parts_table(recorded.turns))
    if record is not None:
        write_recording(recorded, record)
    if events is not None:
        write_events(recorded, events)
    if timeline is not None:
        draw_timeline(recorded, timeline)
    for path in (record, timeline, events):
        if path is not None:
            console.print(f"wrote {path}")
    problems = [turn.problem for turn in recorded.turns if turn.problem]
    for problem in dict.fromkeys(problems):
        show_error(problem)
    if problems:
        raise typer.Exit(FAILED)


async def _scripted(options: CallOptions, recordings: list[Path], sentences: list[str], typed: list[str]) -> CallRecord:
    lines = [line_from_wav(path) for path in recordings]
    if sentences:
        settings = load_settings()
        with Steps("rendering the caller's voice"):
            lines += await asyncio.to_thread(
                speak_lines, sentences, models_dir=settings.models_dir, cache_dir=model_cache(settings)
            )
    async with open_call(options, live_transcript(console)) as line:
        for each in lines:
            await line.say(each)
        for words in typed:
            await line.type(words)
        return line.record()
