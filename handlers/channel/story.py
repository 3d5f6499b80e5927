"""Story: tells what happens to each channel, a line at a time."""

from __future__ import annotations

import time
from typing import Final, cast

from rich.console import Console
from rich.text import Text

from handlers.channel.billing import Billed, verify_billing
from handlers.channel.states import FINAL, State
from jobqueue import App, JobOutcome
from jobqueue.harmless import one_line
from jobqueue.job import CANCELLED

COLOURS: Final = ("cyan", "magenta", "yellow", "green", "blue", "red")
PERSON: Final = "a person"


class Story:
    """Concurrency: on the event loop only."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began_s = time.monotonic()
        self._colours: dict[str, str] = {}

    def person(self, channel_id: str, what: str) -> None:
        """Somebody does something."""
        self._line(channel_id, PERSON, Text(what, style="bold"))

    def outcome(self, channel_id: str, outcome: JobOutcome, state: State) -> None:
        """A try has ended, and after it the channel was in that state."""
        name = outcome.name or outcome.job_id
        reason = one_line(outcome.failed_reason or "")
        match outcome.state:
            case "completed":
                told = f" {outcome.result}" if outcome.result is not None else ""
                style = "bold green" if state in FINAL else ""
                self._line(channel_id, name, Text(f"done{told}; the channel is {state}", style=style))
            case "retried":
                again = f"again in {outcome.delay_ms} ms"
                self._line(channel_id, name, Text(f"try {outcome.attempt} failed: {reason}; {again}", style="dim"))
            case "failed":
                how = reason if reason.startswith(CANCELLED) else f"failed for good: {reason}"
                self._line(channel_id, name, Text(how, style="red"))

    async def tell_billing(self, app: App) -> None:
        """Tell what billing did, until it is cancelled."""
        async with app.subscribe(handler=verify_billing) as outcomes:
            async for outcome in outcomes:
                billed = cast(Billed, outcome.result or Billed(topped_up=[], refused=[]))
                for channel_id in billed["topped_up"]:
                    self._line(channel_id, verify_billing.name, Text("has it topped up"))
                for channel_id in billed["refused"]:
                    self._line(channel_id, verify_billing.name, Text("is refused: a top-up is not finished"))

    def _line(self, channel_id: str, who: str, what: Text) -> None:
        colour = self._colours.setdefault(channel_id, COLOURS[len(self._colours) % len(COLOURS)])
        passed = f"{time.monotonic() - self._began_s:6.2f} s  "
        head = Text(passed, style="dim") + Text(f"{channel_id:<6}", style=colour) + Text(f"{who:<31}")
        self._console.print(head + what, soft_wrap=True)
