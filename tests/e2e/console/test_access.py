"""Who may see what in the console of a server with keys."""

import contextlib
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from tests.kit.browser import browser_page, needs_browser
from tests.kit.speech import share_test_models

from agentvoicebox.cli.local_server import LocalServer, local_server

pytestmark = [pytest.mark.requirement("C6"), needs_browser]

KEY = "the-key-of-the-operator"


@contextlib.asynccontextmanager
async def guarded_server(folder: Path) -> AsyncIterator[LocalServer]:
    (folder / "data").mkdir()
    share_test_models(folder / "data")
    async with local_server(folder / "data", settings={"AVB_API_KEYS": KEY}) as server:
        yield server


def admin_key(server: LocalServer) -> str:
    """A key that may only administer, made on the machine of the server."""
    made = subprocess.run(
        [sys.executable, "-m", "agentvoicebox.cli", "keys", "create", "--scope", "admin"],
        env={**os.environ, "AVB_DATA_DIR": str(server.data_dir), "AVB_API_KEYS": KEY},
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.search(r"sk-avb-\S+", made.stdout)
    assert found is not None, made.stdout
    return found[0]


async def sign_in(page: Page, key: str) -> None:
    await page.get_by_label("API key").fill(key)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_server_with_keys_shows_nothing_until_a_good_key_and_keeps_it_in_the_tab(tmp_path: Path) -> None:
    async with guarded_server(tmp_path) as server, browser_page(tmp_path) as page:
        protocols: list[str] = []
        page.on("websocket", lambda socket: protocols.append(socket.url))
        await page.goto(server.root_url)
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
        await expect(page.get_by_role("button", name="Call", exact=True)).to_have_count(0)
        await sign_in(page, "a-wrong-key")
        await expect(page.get_by_role("alert")).to_contain_text("key")
        assert await page.evaluate("sessionStorage.length") == 0, "a wrong key is not kept"
        await sign_in(page, KEY)
        await page.get_by_role("combobox", name="Microphone").select_option(label="Type only")
        await page.get_by_role("button", name="Call", exact=True).click()
        await expect(page.get_by_text("On the line")).to_be_visible(timeout=30_000)
        assert len(protocols) == 1 and KEY not in protocols[0], "the key is in an address"
        assert await page.evaluate("[localStorage.length, document.cookie.length]") == [0, 0]
        other = await page.context.new_page()
        await other.goto(server.root_url)
        await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
        await page.get_by_role("button", name="Sign out").click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_an_operator_makes_a_tenant_and_a_key_which_is_shown_once_and_revokes_it(tmp_path: Path) -> None:
    async with guarded_server(tmp_path) as server, browser_page(tmp_path) as page:
        await page.goto(server.root_url)
        await sign_in(page, admin_key(server))
        await expect(page.get_by_text("This key may not open calls")).to_be_visible()
        await page.get_by_role("link", name="Operate").click()
        await page.get_by_label("New tenant").fill("acme")
        await page.get_by_role("button", name="Create", exact=True).click()
        row = page.get_by_role("region", name="Tenants").get_by_role("row").filter(has_text="acme")
        await row.get_by_role("button", name="Keys and usage").click()
        await page.get_by_label("Name of a new key").fill("line 1")
        await page.get_by_role("button", name="Create key").click()
        shown = page.get_by_text("The key, shown only now").locator("code")
        await expect(shown).to_contain_text("sk-avb-")
        made = await shown.inner_text()
        keys = page.get_by_role("region", name="Keys")
        await expect(keys.get_by_role("row").filter(has_text="line 1")).to_contain_text("no expiry")
        assert made not in await keys.inner_text()
        page.on("dialog", lambda dialog: dialog.accept())
        await keys.get_by_role("button", name="Revoke").click()
        await expect(keys.get_by_role("row").filter(has_text="line 1")).to_contain_text("revoked")
        await row.get_by_role("button", name="Suspend").click()
        await expect(row).to_contain_text("suspended")
