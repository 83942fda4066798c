"""One call of each kind, and what its caller measures. Knows nothing of Locust, processes or other calls."""

import re
import time
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any

import numpy as np
from benchmarks.load.sample import (
    CALL,
    FIRST_AUDIO,
    LATENESS,
    REFUSED,
    SETUP,
    TURN,
    VOICE_TO_VOICE,
    YIELD,
    Sample,
)
from benchmarks.load.speech import CONFIRMATION, PARCELS, QUESTION, Speech, number_line
from websockets.exceptions import InvalidStatus

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.audio.rates import OUTPUT_RATE_HZ
from agentvoicebox.client.call_record import CallTurn, LoggedEvent
from agentvoicebox.client.caller import FRAME_S, NOISE_LSB, LiveCall, open_call
from agentvoicebox.realtime_client.dialing import CallDeferred, CallFailed, CallOptions

SPOKEN, INTERRUPTING, TYPED = "spoken", "interrupting", "typed"
INTERRUPTS_AFTER_S = 0.5  # of an answer
GOES_ON_S = 0.5  # at least so much more of it is there to be heard, else there is nothing to interrupt
MORE_WITHIN_S = 5.0
YIELDS_WITHIN_S = 2.0
LIMIT_STATUSES = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
LIMIT_TYPE, LIMIT_CODE = "rate_limit_error", "rate_limit_exceeded"
FRAMES_A_SECOND = round(1 / FRAME_S)

Report = Callable[[Sample], None]


class Ear:
    """Reads from a call's events what its turns lack: refusals, ends of turns, last audio of responses (s of the call)."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.turn_ends: list[float] = []
        self.responses_done = 0
        self.last_audio_s: dict[str, float] = {}  # by response

    def __call__(self, event: LoggedEvent) -> None:
        """Take an event, as a listener of a call."""
        if event.sender != "server":
            return
        match event.type:
            case "response.output_audio.delta":
                self.last_audio_s[event.body["response_id"]] = event.at_s
            case "input_audio_buffer.speech_stopped":
                self.turn_ends.append(event.at_s)
            case "error" | "response.done":
                self.refusals += refusals_of(event.body)
                self.responses_done += event.type == "response.done"


def refusals_of(event: dict[str, Any]) -> Iterator[str]:
    """Codes of the limits that an `error` or a `response.done` tells of."""
    error = event.get("error") or (event.get("response", {}).get("status_details") or {}).get("error") or {}
    if error.get("type") == LIMIT_TYPE or error.get("code") == LIMIT_CODE:
        yield str(error.get("code") or LIMIT_TYPE)


class Room:
    """The caller's microphone between the lines: faint noise. Measures how late it is read, which is how late frames are."""

    def __init__(self, report: Callable[[float], None]) -> None:
        """`report` gets the worst lateness of each second, ms."""
        self._report = report
        self._noise = np.random.default_rng(0).normal(0, NOISE_LSB, OUTPUT_RATE_HZ).astype(np.int16)
        self._frames = 0
        self._began_s = float("inf")
        self._worst_s = 0.0

    def __call__(self, count: int) -> Int16Array:
        """The next `count` samples."""
        now_s = time.monotonic()
        self._began_s = min(self._began_s, now_s - self._frames * FRAME_S)
        self._worst_s = max(self._worst_s, now_s - self._frames * FRAME_S - self._began_s)
        self._frames += 1
        if self._frames % FRAMES_A_SECOND == 0:
            self._report(self._worst_s * 1000)
            self._worst_s = 0.0
        at = self._frames * count % (len(self._noise) - count)
        return self._noise[at : at + count].copy()


class Conversation:
    """A call in progress with its samples."""

    def __init__(self, call: LiveCall, ear: Ear, speech: Speech, report: Report) -> None:
        self._call = call
        self._ear = ear
        self._speech = speech
        self._report = report

    async def say(self, text: str, name: str) -> CallTurn:
        """Speak a line and hear its answer to the end."""
        ends, refused = len(self._ear.turn_ends), len(self._ear.refusals)
        turn = await self._call.say(self._speech.line(text))
        self._measure(turn, name, refused)
        if turn.first_audio_s is not None and not turn.problem:
            self._tell(VOICE_TO_VOICE, name, turn.end_s, turn.first_audio_s)
            decided = [end_s for end_s in self._ear.turn_ends[ends:] if end_s <= turn.first_audio_s]
            if decided:
                self._tell(FIRST_AUDIO, SPOKEN, decided[-1], turn.first_audio_s)
        return turn

    async def type(self, text: str, name: str) -> CallTurn:
        """Type a line and hear its answer to the end."""
        refused = len(self._ear.refusals)
        turn = await self._call.type(text)
        self._measure(turn, name, refused)
        if turn.first_audio_s is not None and not turn.problem:
            self._tell(FIRST_AUDIO, TYPED, turn.end_s, turn.first_audio_s)
        return turn

    async def interrupt(self, text: str, by: str, name: str) -> CallTurn:
        """Speak a line, and the next one into its answer."""
        refused, done = len(self._ear.refusals), self._ear.responses_done
        first = self._call.start_saying(self._speech.line(text))
        await self._call.stay_connected(first.end_s - self._call.now_s)  # an answer before that is one to a pause
        await self._call.wait_until_heard(INTERRUPTS_AFTER_S)
        if first.first_audio_s is not None:
            await self._wait_for_more(lambda: self._ear.responses_done > done)
        if first.first_audio_s is None:
            first.problem = first.problem or self._call.connection.ended or "no answer to interrupt"
            self._measure(first, INTERRUPTING, refused)
            return first
        heard = set(self._ear.last_audio_s)
        second = await self.say(by, name)
        last_s = max([first.reply_end_s or 0.0, *(self._ear.last_audio_s[response] for response in heard)])
        if first.is_cut and last_s >= second.start_s:
            self._tell(YIELD, "interruption", second.start_s, last_s)
        elif last_s - second.start_s > YIELDS_WITHIN_S:  # less: the answer was over before the server could notice
            self._tell(YIELD, "interruption", second.start_s, last_s, "the agent spoke on")
        return second

    async def _wait_for_more(self, is_complete: Callable[[], bool]) -> None:
        """Wait until enough of an answer is there to be interrupted; a complete one won't grow, a stalled one may not."""
        until_s = self._call.now_s + MORE_WITHIN_S
        while not (is_complete() or self._call.connection.ended) and self._call.now_s < until_s:
            if self._call.playout.end_s - self._call.now_s >= GOES_ON_S:
                return
            await self._call.stay_connected(FRAME_S)

    def _measure(self, turn: CallTurn, name: str, refused: int) -> None:
        """The turn as a whole: answered, refused by a limit, or failed."""
        codes = self._ear.refusals[refused:]
        end_s = self._call.now_s if turn.reply_end_s is None else turn.reply_end_s
        for code in codes:
            self._tell(REFUSED, code, turn.end_s, end_s)
        if not codes:
            silence = "an answer without audio" if turn.first_audio_s is None else ""
            self._tell(TURN, name, turn.end_s, end_s, nameless(turn.problem) or silence)

    def _tell(self, kind: str, name: str, from_s: float, until_s: float, fault: str = "") -> None:
        """Report what took from one second of the call to another."""
        at_s = time.time() - (self._call.now_s - until_s)
        self._report(Sample(kind, name, (until_s - from_s) * 1000, at_s, fault))


def nameless(fault: str) -> str:
    """A fault without the ids and numbers of its call, so that equal ones are counted together."""
    return re.sub(r"\b\w+_[0-9a-zA-Z]{8,}\b", "…", fault)


# -- the kinds of calls ----------------------------------------------------------------------------------------------


async def speak(conversation: Conversation, parcel: int) -> None:
    """A caller asks, spells a number, confirms it when asked: one look-up by the server's tool."""
    turn = await conversation.say(QUESTION, "question")
    if not turn.problem:
        await _confirm(conversation, await conversation.say(number_line(parcel), "number"))


async def interrupt(conversation: Conversation, parcel: int) -> None:
    """A caller who gives another number while the agent reports on the first; reports are the longest answers."""
    other = number_line(following(parcel))
    await _confirm(conversation, await conversation.interrupt(number_line(parcel), other, "number"))


async def write(conversation: Conversation, parcel: int) -> None:
    """A caller who types: each line is a look-up, and is answered by voice."""
    for each in (parcel, following(parcel)):
        if (await conversation.type(f"Where is parcel PKG{each:03}?", "typed")).problem:
            return


def following(parcel: int) -> int:
    """The parcel after one; after the last, the first."""
    return parcel % len(PARCELS) + 1


async def _confirm(conversation: Conversation, turn: CallTurn) -> None:
    if not turn.problem and "is that" in turn.replied.lower():
        await conversation.say(CONFIRMATION, "confirmation")


SCRIPTS: dict[str, Callable[[Conversation, int], Awaitable[None]]] = {
    SPOKEN: speak,
    INTERRUPTING: interrupt,
    TYPED: write,
}


async def make_call(kind: str, number: int, options: CallOptions, speech: Speech, report: Report) -> None:
    """Make one call and report its samples.

    Args:
        kind: one of SCRIPTS.
        number: of the call; chooses the parcel.
        options: the server, and how it is called.
        speech: the callers' lines.
        report: called with each sample, as soon as there is one.
    """
    began_s, ear = time.monotonic(), Ear()

    def tell(of: str, name: str, fault: str = "") -> None:
        report(Sample(of, name, (time.monotonic() - began_s) * 1000, time.time(), fault))

    room = Room(lambda ms: report(Sample(LATENESS, "frames", ms, time.time())))
    try:
        async with open_call(options, ear, source=room) as call:
            tell(SETUP, kind)
            await SCRIPTS[kind](Conversation(call, ear, speech, report), PARCELS[number % len(PARCELS)])
            ended = call.connection.ended
        tell(CALL, kind, nameless(ended))
    except CallFailed as error:
        if code := refusal(error, ear):
            tell(REFUSED, code)
        else:
            tell(SETUP, kind, nameless(error.message))


def refusal(error: CallFailed, ear: Ear) -> str:
    """The code of the limit that refused a call, or ""."""
    cause = error.__cause__
    if isinstance(cause, InvalidStatus) and cause.response.status_code in LIMIT_STATUSES:
        return f"HTTP {cause.response.status_code}"
    if isinstance(error, CallDeferred):
        found = re.search(r"\((\w+)\)$", error.message)
        return found[1] if found else "refused for now"
    return ear.refusals[0] if ear.refusals else ""
