"""Write down what is said, without an agent: the words come while the recording is sent.

For a finished file, `client.audio.transcriptions.create(...)` needs one request.

pip install openai
agentvoicebox serve                               # elsewhere
python transcription.py speech.wav                # 24 kHz, mono, 16 bits
"""

import asyncio
import base64
import os
import sys
import wave

from openai import AsyncOpenAI

FRAME = 2_400  # samples: 100 ms


async def main(path: str) -> None:
    """One recording."""
    url, key = os.environ.get("AVB_URL", "http://127.0.0.1:8000/v1"), os.environ.get("AVB_KEY", "none")
    client = AsyncOpenAI(base_url=url, api_key=key)
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        # Without turn detection this program says where a turn ends; with it, the server finds the turns of a live line.
        listening = {"transcription": {"model": "default", "language": "en"}, "turn_detection": None}
        await connection.session.update(session={"type": "transcription", "audio": {"input": listening}})
        with wave.open(path) as file:
            while pcm := file.readframes(FRAME):
                await connection.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if event.type == "conversation.item.input_audio_transcription.completed":
                print(event.transcript)
                break
            if event.type == "conversation.item.input_audio_transcription.failed":
                sys.exit(event.error.message)
            if event.type == "error":
                sys.exit(event.error.message)


asyncio.run(main(*sys.argv[1:]))
