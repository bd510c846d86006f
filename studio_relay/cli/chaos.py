"""`--chaos SEED`: a line that fails as the seed draws, and what a server may never do however it fails."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from studio_relay.testing.chaos import broken_rules, troubled
from studio_relay.testing.faults import FaultPlan

if TYPE_CHECKING:
    from studio_relay.cli.narrator import Narrator
    from studio_relay.testing.relay import Line
    from studio_relay.testing.run import Run


def chaotic_line(line: Line, seed: int, *, speed: float = 1.0, narrator: Narrator | None = None) -> Line:
    """`line` with the faults of the seed, told to whoever watches. `speed` is that of the caller's clock."""
    if narrator is not None:
        narrator.note(f"chaos {seed}: {FaultPlan.from_seed(seed)}")
    return troubled(line, seed, speed=speed)


def judged(run: Run, seed: int) -> Run:
    """The run with its faults, and with what the server did wrong, which fails it."""
    problems = broken_rules(run.sessions)
    faults = [str(fault) for fault in FaultPlan.from_seed(seed).faults]
    chaos = {"seed": seed, "faults": faults, "problems": problems}
    return replace(run, ok=run.ok and not problems, chaos=chaos)
