"""Seeing: a real browser, what it did that nobody asked for, and the pages that are opened in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import Browser, Page, Request, async_playwright

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP *.example 127.0.0.1",
]
LONGEST_MS = 15_000


@dataclass(slots=True)
class Seen:
    """What the browser did that nobody should make it do: complaints and dialogs, and every address it asked.

    A browser complains of each answer that refuses something; a test that brings one about says so in `expected`.
    """

    complaints: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])
    expected: list[str] = field(default_factory=list[str])

    def unexpected(self) -> list[str]:
        """The complaints that a test has not foreseen."""
        return [text for text in self.complaints if not any(words in text for words in self.expected)]

    def expect_status(self, *statuses: int) -> None:
        """Answers with these are part of the story."""
        self.expected += [f"responded with a status of {status} " for status in statuses]

    def note(self, page: Page) -> None:
        """Look at what this page does."""

        def note_request(request: Request) -> None:
            self.requests.append(request.url)

        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        page.on("request", note_request)


@asynccontextmanager
async def browsing() -> AsyncGenerator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, seen: Seen, *, script: bool = True, width: int = 1280) -> AsyncGenerator[Page]:
    """An empty page of somebody who was never here before. At the end there must be no unforeseen complaint."""
    context = await browser.new_context(java_script_enabled=script, viewport={"width": width, "height": 800})
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    context.set_default_timeout(LONGEST_MS)
    page = await context.new_page()
    seen.note(page)
    try:
        yield page
    finally:
        await context.close()
    assert seen.unexpected() == []
