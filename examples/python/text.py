"""Ask in writing, and print the answer as it comes.

pip install openai
agentvoicebox serve                               # elsewhere
python text.py "Where is parcel PKG004?"

AVB_URL, AVB_KEY and AVB_MODEL name another server, a key and an agent.
"""

import asyncio
import os
import sys

from openai import AsyncOpenAI


async def main(question: str) -> None:
    """One question, one answer."""
    url, key = os.environ.get("AVB_URL", "http://127.0.0.1:8000/v1"), os.environ.get("AVB_KEY", "none")
    client = AsyncOpenAI(base_url=url, api_key=key)
    async with client.realtime.connect(model=os.environ.get("AVB_MODEL", "delivery")) as connection:
        await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": question}]}
        )
        await connection.response.create()
        async for event in connection:
            if event.type == "response.output_text.delta":
                print(event.delta, end="", flush=True)
            elif event.type == "response.done":
                print()
                break
            elif event.type == "error":
                sys.exit(event.error.message)


asyncio.run(main(*sys.argv[1:]))
