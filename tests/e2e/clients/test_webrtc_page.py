"""The page of docs/webrtc.md, as it is written there, in Chromium: it calls, is heard, and shows what the agent says."""

from collections.abc import Callable
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from tests.e2e.clients.conftest import FlowerShop
from tests.e2e.clients.test_agents_webrtc import microphone
from tests.kit import florist
from tests.kit.browser import browser_page, needs_browser
from tests.kit.pages import blocks
from tests.kit.waiting import PATIENCE_S

from agentvoicebox.client.line import SpokenLine

PAGE = Path(__file__).parents[3] / "docs" / "webrtc.md"

pytestmark = [pytest.mark.requirement("C10", "A18"), needs_browser]


async def test_the_page_of_the_guide_holds_a_call(
    shop: FlowerShop, say: Callable[[str], SpokenLine], tmp_path: Path
) -> None:
    (page,) = [block for block in blocks(PAGE) if block.file == "page.html"]
    assert "http://127.0.0.1:8000/" in page.text
    site = tmp_path / "site"
    site.mkdir()
    (site / "page.html").write_text(page.text.replace("http://127.0.0.1:8000", shop.server.root_url))
    heard = Path(microphone(tmp_path, say, (4, florist.NAME_LINE)))
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *given: SimpleHTTPRequestHandler(*given, directory=str(site))
    ) as web:
        Thread(target=web.serve_forever, daemon=True).start()
        async with browser_page(tmp_path, microphone=heard) as browser:
            await browser.goto(f"http://localhost:{web.server_port}/page.html")
            await browser.get_by_role("button", name="Call").click()
            await browser.get_by_text(florist.NAME_REPLY).wait_for(timeout=PATIENCE_S * 1000)
        web.shutdown()
