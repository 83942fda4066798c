"""Prints a call's transcript during the call: the caller's words as transcribed, and the agent's replies."""

from collections.abc import Callable

from rich.console import Console

from agentvoicebox.client.call_record import LoggedEvent
from agentvoicebox.client.call_report import spoken


def live_transcript(console: Console) -> Callable[[LoggedEvent], None]:
    """A listener for `client.caller.open_call` that prints each line when it is complete.

    An error before the session is ready ends the call, so `open_call` raises it.
    """
    is_ready = False

    def listen(event: LoggedEvent) -> None:
        nonlocal is_ready
        body = event.body
        match event.type:
            case "conversation.item.input_audio_transcription.completed":
                console.print(spoken("caller", body["transcript"].strip() or "(nothing recognised)"))
            case "conversation.item.create" if event.sender == "caller" and body["item"].get("role") == "user":
                console.print(spoken("caller", body["item"]["content"][0]["text"], "typed"))
            case "response.output_audio_transcript.done":
                console.print(spoken("agent", body["transcript"]))
            case "response.output_text.done":
                console.print(spoken("agent", body["text"]))
            case "response.function_call_arguments.done":
                console.print(f"[dim]           tool {body.get('name', '')}({body['arguments']})[/]")
            case "conversation.item.truncate":
                console.print(f"[dim]           the caller interrupted after {body['audio_end_ms']} ms[/]")
            case "session.updated":
                is_ready = True
            case "error" if is_ready:
                console.print(f"[red]          error {body['error'].get('code')}: {body['error'].get('message')}[/]")

    return listen
