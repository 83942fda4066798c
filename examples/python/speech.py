"""Speak to the agent, and keep what it says as a WAV file.

The server makes the caller's voice itself, so no microphone is needed. Your own samples are 24 kHz, mono, 16 bits.

pip install openai
agentvoicebox serve                               # elsewhere
python speech.py "Where is my parcel?" answer.wav
"""

import asyncio
import base64
import os
import sys
import wave

from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

RATE_HZ = 24_000
FRAME_BYTES = RATE_HZ // 10 * 2  # 100 ms


async def speak(connection: AsyncRealtimeConnection, pcm: bytes) -> None:
    """Send samples as a microphone does, and silence after them: the server hears by itself when the turn is over."""
    pcm += bytes(RATE_HZ * 2)
    for start in range(0, len(pcm), FRAME_BYTES):
        await connection.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + FRAME_BYTES]).decode())
        await asyncio.sleep(0.1)


async def main(question: str, path: str) -> None:
    """One spoken turn."""
    url, key = os.environ.get("AVB_URL", "http://127.0.0.1:8000/v1"), os.environ.get("AVB_KEY", "none")
    client = AsyncOpenAI(base_url=url, api_key=key)
    made = await client.audio.speech.create(model="tts-1", voice="alloy", input=question, response_format="pcm")
    async with client.realtime.connect(model=os.environ.get("AVB_MODEL", "delivery")) as connection:
        await connection.session.update(
            session={"type": "realtime", "audio": {"input": {"transcription": {"model": "default"}}}}
        )
        speaking = asyncio.create_task(speak(connection, made.content))
        answer = b""
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.completed":
                print("caller:", event.transcript)
            elif event.type == "response.output_audio.delta":
                answer += base64.b64decode(event.delta)
            elif event.type == "response.output_audio_transcript.done":
                print("agent:", event.transcript)
            elif event.type == "response.done":
                break
            elif event.type == "error":
                sys.exit(event.error.message)
        await speaking
    with wave.open(path, "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes(answer)


asyncio.run(main(*sys.argv[1:]))
