"""Follows the events of a call: which reply answers which line, and when a reply has ended.

Pure: events and times in, turns filled, events to send out. The socket, the codec and the pace are in `caller`.
"""

from typing import Any

from agentvoicebox.audio.pcm import Int16Array
from agentvoicebox.client.call_record import CallTurn, account_from_trace
from agentvoicebox.client.playout import CallerPlayout

TEMPORARY = ("rate_limit_error", "server_error")
STATUS_WORDS = {"failed": "failed", "incomplete": "is incomplete"}
SETTLE_S = 0.35  # a person's pause before answering; a server tool may start a second response within it


class ReplyTracker:
    """The state of one call as its caller sees it.

    Attributes:
        turns: the caller's lines so far, filled as replies arrive.
        problems: errors the server reported, in order.
        is_refused_for_now: the last of them is temporary.
        is_ready: the server answered the first session.update.
    """

    def __init__(self, rate_hz: int) -> None:
        self.playout = CallerPlayout(rate_hz)
        self.turns: list[CallTurn] = []
        self.problems: list[str] = []
        self.is_refused_for_now = False
        self.session_id = ""
        self.is_ready = False
        self._turn_of_caller_item: dict[str, CallTurn] = {}
        self._turn_of_reply: dict[str, CallTurn] = {}  # by response id
        self._reply_of_turn: dict[int, str] = {}  # the measured response of a turn, by turn index
        self._began_s: dict[str, float] = {}  # by response id
        self._turn_of_reply_item: dict[str, CallTurn] = {}
        self._cut_items: set[str] = set()
        self._active: set[str] = set()
        self._owes_speech = False  # the last response only called tools: another one follows
        self._interrupts = True
        self._changed_s = 0.0

    def begin_turn(self, said: str) -> CallTurn:
        """The caller starts a line."""
        turn = CallTurn(len(self.turns) + 1, said)
        self.turns.append(turn)
        return turn

    def is_reply_over(self, turn: CallTurn, now_s: float) -> bool:
        """Whether the reply to `turn` began, nothing more is being generated, and all of it was played."""
        began = self._began_s.get(self._reply_of_turn.get(turn.index, ""), -1.0) >= turn.end_s
        is_quiet = now_s >= max(self.playout.end_s, self._changed_s + SETTLE_S)
        return began and not self._active and not self._owes_speech and is_quiet

    def receive(self, event: dict[str, Any], pcm: Int16Array | None, now_s: float) -> list[dict[str, Any]]:
        """Process one server event; `pcm` is the decoded audio of an audio delta.

        Returns:
            Events that a client sends at once: a truncate when the caller interrupted.
        """
        self._changed_s = now_s
        turn = self._turn_of_reply.get(event.get("response_id", ""))
        match event.get("type"):
            case "session.created":
                self.session_id = event["session"].get("id", "")
            case "session.updated":
                self.is_ready = True
                detection = event["session"].get("audio", {}).get("input", {}).get("turn_detection") or {}
                self._interrupts = bool(detection.get("interrupt_response", True))
            case "error":
                error = event["error"]
                self.problems.append(f"{error.get('message')} ({error.get('code') or error.get('type')})")
                self.is_refused_for_now = error.get("type") in TEMPORARY
            case "input_audio_buffer.speech_started":
                self._own(event["item_id"])
                return self._break_in(now_s)
            case "input_audio_buffer.committed":
                self._own(event["item_id"])
            case "conversation.item.input_audio_transcription.completed":
                if owner := self._turn_of_caller_item.get(event["item_id"]):
                    owner.heard = f"{owner.heard} {event['transcript']}".strip()
            case "response.created":
                self._begin_reply(event["response"]["id"], now_s)
            case "response.output_audio.delta" if pcm is not None:
                self._play(event["item_id"], pcm, turn, now_s)
            case "response.output_audio_transcript.delta" | "response.output_text.delta" if turn:
                turn.first_text_s = now_s if turn.first_text_s is None else turn.first_text_s
                turn.replied += event["delta"]
            case "response.output_item.added" if turn and turn.replied and event["item"]["type"] == "message":
                turn.replied += " "
            case "response.function_call_arguments.done" if turn:
                turn.tool_calls.append(f"{event.get('name', '?')}({event['arguments']})")
            case "response.done":
                self._response_done(event["response"], now_s)
            case "agentvoicebox.turn":
                self._read_account(event["turn"])
        return []

    def _begin_reply(self, response_id: str, now_s: float) -> None:
        self._active.add(response_id)
        self._began_s[response_id] = now_s
        if not self.turns:
            return
        turn = self.turns[-1]
        self._turn_of_reply[response_id] = turn
        before = self._began_s.get(self._reply_of_turn.get(turn.index, ""))
        if before is not None and before < turn.end_s:
            # It took a pause for the end of the line and started again: measure the final answer.
            turn.early_answers += 1
            turn.replied, turn.account, turn.is_cut = "", None, False
            turn.first_audio_s = turn.first_text_s = turn.reply_end_s = None
        self._reply_of_turn[turn.index] = response_id

    def _play(self, item_id: str, pcm: Int16Array, turn: CallTurn | None, now_s: float) -> None:
        if turn is not None:
            turn.first_audio_s = now_s if turn.first_audio_s is None else turn.first_audio_s
            self._turn_of_reply_item[item_id] = turn
        if item_id in self._cut_items:
            return
        self.playout.play(item_id, pcm, now_s)
        if turn is not None:
            turn.reply_end_s = self.playout.end_s

    def _break_in(self, now_s: float) -> list[dict[str, Any]]:
        """The server detected the caller's speech: like any client, stop playing at once and report how much was played."""
        cut = self.playout.stop(now_s) if self._interrupts else None
        if cut is None:
            return []
        item_id, heard_ms = cut
        self._cut_items.add(item_id)
        if owner := self._turn_of_reply_item.get(item_id):
            owner.is_cut, owner.reply_end_s = True, now_s
        truncate = {"item_id": item_id, "content_index": 0, "audio_end_ms": heard_ms}
        return [{"type": "conversation.item.truncate", **truncate}]

    def _own(self, item_id: str) -> None:
        if self.turns:
            self._turn_of_caller_item.setdefault(item_id, self.turns[-1])

    def _response_done(self, response: dict[str, Any], now_s: float) -> None:
        self._active.discard(response["id"])
        kinds = {item["type"] for item in response.get("output") or []}
        self._owes_speech = response["status"] == "completed" and kinds == {"function_call"}
        turn = self._turn_of_reply.get(response["id"])
        if turn is None:
            return
        if turn.first_audio_s is None:
            turn.reply_end_s = now_s
        if response["status"] in ("failed", "incomplete"):
            details = response.get("status_details") or {}
            error = details.get("error") or {}
            reason = error.get("message") or error.get("code") or details.get("reason") or "no reason was given"
            turn.problem = f"the response {STATUS_WORDS[response['status']]}: {reason}"

    def _read_account(self, trace: dict[str, Any]) -> None:
        account = account_from_trace(trace)
        turn = self._turn_of_reply.get(account.response_id) if account else None
        if account and turn is not None and turn.account is None:
            turn.account = account
