"""Bundles of a line: the running one, its shadow, and those that are opened to take over.

A new bundle is opened and warmed beside the running one, which goes on. It takes over between two parts, or
is refused and recorded, and then the running one stays.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from blemish.station.line.judging import PartJudge, open_judge
from blemish.station.line.recorder import Recorder
from blemish.station.line.settings import DecisionOf, LineSettings

NO_BUNDLE = "No bundle is set. Set one with `blemish station line`, or promote one."
IDLE_SECONDS = 5.0  # for inspections by the bundle before to be recorded, while no part is taken
Given = tuple[Path, DecisionOf | None]


class Bundles:
    """Inspectors of a line; used in the thread that inspects. root: folder of the station"""

    def __init__(self, root: Path, recorder: Recorder) -> None:
        self.root, self.recorder = root, recorder
        self.judge: PartJudge | None = None
        self.shadow: PartJudge | None = None
        self.opener = ThreadPoolExecutor(max_workers=1, thread_name_prefix="opener")
        self.opening: dict[str, tuple[Given, Future[PartJudge]]] = {}
        self.refused: dict[str, Given] = {}

    def begin(self, settings: LineSettings) -> None:
        """Hold the line until its first bundle is open."""
        self.recorder.hold.set("bundle", "The bundle is being opened." if settings.bundle else NO_BUNDLE)
        self.open(settings)

    def open(self, settings: LineSettings) -> None:
        """Begin to open the bundles of the settings that do not run yet."""
        pixels = self.recorder.latest[1].pixels if self.recorder.latest else None
        wanted: dict[str, Given | None] = {
            "judge": (settings.bundle, settings.decision) if settings.bundle else None,
            "shadow": (settings.shadow, None) if settings.shadow else None,
        }
        for role, running in (("judge", self.judge), ("shadow", self.shadow)):
            given = wanted[role]
            if (
                given is None
                or role in self.opening
                or given in (self.refused.get(role), running and running.given)
            ):
                continue
            future = self.opener.submit(open_judge, self.root, *given, pixels)
            self.opening[role] = given, future

    def follow(self, settings: LineSettings) -> None:
        """Let a bundle that was opened take over, and begin to open one that the settings have changed to."""
        for role, (given, future) in list(self.opening.items()):
            if not future.done() or not self.recorder.wait_idle(IDLE_SECONDS):
                continue
            del self.opening[role]
            try:
                opened = future.result()
            except Exception as error:  # also of what is a bug: the running bundle stays
                self.refuse(role, given, " ".join(str(error).split()) or type(error).__name__)
                continue
            if role == "shadow":
                self.shadow = opened
            else:
                self.judge = opened
                self.recorder.hold.clear("bundle", f"{opened.bundle} is open.")
            self.recorder.note(
                "state",
                state=self.recorder.hold.state,
                why=f"{'Shadow' if role == 'shadow' else 'Bundle'} {opened.bundle} runs from here.",
                bundle=opened.bundle,
                decision_revision=opened.used.decision,
                settings_revision=settings.revision,
            )
        if self.shadow is not None and settings.shadow is None:
            self.recorder.note(
                "state", state=self.recorder.hold.state, why=f"Shadow {self.shadow.bundle} ends."
            )
            self.shadow = None
        self.open(settings)

    def refuse(self, role: str, given: Given, reason: str) -> None:
        """Record that a bundle was refused; the running one stays, and without one the line is on hold."""
        self.refused[role] = given
        running = self.shadow if role == "shadow" else self.judge
        stays = f"{running.bundle} stays." if running else "The line has none."
        why = f"{given[0]} was refused: {reason} {stays if role == 'judge' else ''}".strip()
        if role == "judge" and running is None:
            self.recorder.hold.set("bundle", why)
        self.recorder.note("state", state=self.recorder.hold.state, why=why, refused=str(given[0]))

    def close(self) -> None:
        """Wait for no bundle any longer."""
        self.opener.shutdown(wait=False, cancel_futures=True)
