"""The tables of Zur Post: what `restaurant.toml` calls. Run: AVB_TOOL_SECRET=… TABLES_TOKEN=… uvicorn server:app --port 9000."""

import hashlib
import hmac
import os
import time
from typing import Any

from fastapi import FastAPI, HTTPException, Request

app = FastAPI()
bookings: dict[str, dict[str, Any]] = {}  # by Idempotency-Key: the same call again gets the same booking


async def arguments_of(request: Request) -> dict[str, Any]:
    """The arguments of a call that is really ours, and fresh."""
    body = await request.body()
    parts = dict(part.split("=", 1) for part in request.headers.get("x-agentvoicebox-signature", "t=0,v1=").split(","))
    signed = parts["t"].encode() + b"." + body
    expected = hmac.new(os.environ["AVB_TOOL_SECRET"].encode(), signed, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, parts["v1"]) or abs(time.time() - int(parts["t"])) > 300:
        raise HTTPException(401)
    return (await request.json())["arguments"]


@app.post("/free")
async def free(request: Request) -> dict[str, Any]:
    """The free times of a day."""
    await arguments_of(request)
    return {"free": ["18:00", "19:30"]}


@app.post("/book")
async def book(request: Request) -> dict[str, Any]:
    """A booking, once for each key."""
    wanted, key = await arguments_of(request), request.headers["idempotency-key"]
    if request.headers.get("authorization") != f"Bearer {os.environ['TABLES_TOKEN']}":
        raise HTTPException(403)
    number = bookings.setdefault(key, {"number": len(bookings) + 1, **wanted})["number"]
    return {"number": number, "speech": f"A table for {wanted['people']} is booked; its number is {number}."}
