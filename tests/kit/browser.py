"""A real Chromium for tests: headless, with a microphone that plays a WAV file, driven by Playwright."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from tests.kit.client_program import NODE_FOLDER, node_version

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 860}
SILENT = [
    "--no-sandbox",  # the tests may run as root
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
]


def installed_chromium() -> str:
    """The path of a Chromium: AVB_CHROMIUM, or one on the PATH; empty without one."""
    named = os.environ.get("AVB_CHROMIUM", "")
    return named or next((path for name in PROGRAMS if (path := shutil.which(name))), "")


def _has_packaged() -> bool:
    """Whether the npm package with a Chromium is there, which `make test` installs."""
    return (NODE_FOLDER / "node_modules" / "@sparticuz" / "chromium").exists() and node_version() >= 20


needs_browser = pytest.mark.skipif(
    not (installed_chromium() or _has_packaged()),
    reason="needs Chromium: `apt-get install chromium`, or set AVB_CHROMIUM to the program",
)


@asynccontextmanager
async def browser_page(folder: Path, *, microphone: Path | None = None, **context: Any) -> AsyncIterator[Page]:
    """A page in a browser of its own, which is closed at the end of the block.

    Args:
        folder: for the browser's own files.
        microphone: a WAV file that the microphone plays once, from when it is opened; by default it hears beeps.
        context: options of Playwright's context, such as `color_scheme` and `viewport`.
    """
    arguments = [*SILENT]
    if microphone is not None:
        arguments.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    options = {"viewport": DESK, "permissions": ["microphone"], **context}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=installed_chromium() or await _packaged_chromium(folder), args=arguments
        )
        try:
            page = await (await browser.new_context(**options)).new_page()
            yield page
        finally:
            await browser.close()


async def _packaged_chromium(folder: Path) -> str:
    """Unpack the npm package's Chromium into the folder."""
    script = "import('@sparticuz/chromium').then(async (c) => console.log(await c.default.executablePath()))"
    process = await asyncio.create_subprocess_exec(
        "node",
        "-e",
        script,
        cwd=NODE_FOLDER,
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=asyncio.subprocess.PIPE,
    )
    answer, _ = await process.communicate()
    return answer.decode().strip()
