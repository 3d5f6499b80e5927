"""`scripts/screenshots/run`: takes the pictures in docs/screenshots of a demo board."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import Browser, async_playwright

from scripts.screenshots.demo import running_demo

FOLDER: Final = Path(__file__).parents[2] / "docs" / "screenshots"
CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
_A_WHILE_S: Final = 20
"""How long the demo runs first, so that there is something of everything."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture. Units: `width` and `height` CSS pixels."""

    name: str
    path: str
    scheme: Literal["light", "dark"] = "light"
    width: int = 1280
    height: int = 800


SHOTS: Final = (
    Shot("overview", ""),
    Shot("queue", "/queues/emails", height=980),
    Shot("jobs", "/queues/emails/failed"),
    Shot("job", "/queues/billing/jobs/1", height=980),
    Shot("cron", "/cron"),
    Shot("handlers", "/handlers"),
    Shot("overview-dark", "", "dark"),
    Shot("job-dark", "/queues/billing/jobs/1", "dark", height=980),
    Shot("overview-phone", "", width=390, height=844),
    Shot("job-phone", "/queues/billing/jobs/1", width=390, height=844),
)


async def take_all(folder: Path) -> None:
    """Write each of SHOTS into the folder."""
    async with running_demo() as board, async_playwright() as playwright:
        await asyncio.sleep(_A_WHILE_S)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for shot in SHOTS:
            await _take(browser, board, shot, folder / f"{shot.name}.png")
        await browser.close()


async def _take(browser: Browser, board: str, shot: Shot, file: Path) -> None:
    page = await browser.new_page(
        viewport={"width": shot.width, "height": shot.height}, color_scheme=shot.scheme, reduced_motion="reduce"
    )
    answer = await page.goto(board + shot.path)
    if answer is None or answer.status != 200:
        raise RuntimeError(f"{shot.path or '/'} answered {answer.status if answer else 'nothing'}, not 200")
    await page.screenshot(path=file)
    await page.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/screenshots/run", description=__doc__)
    parser.add_argument("--to", type=Path, default=FOLDER, help="the folder to write to (docs/screenshots)")
    folder: Path = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_all(folder))


if __name__ == "__main__":
    main()
