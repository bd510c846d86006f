"""Random handoffs through front-desk-to-flex, and what Send To Flex is given; nothing is asserted here.

uv run python tests/studio_flows/random_handoffs.py 10000
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from flow_parts import FLOWS

from studio_relay.handoff import Handoff
from studio_relay.studio.flow import Flow, load_flow
from studio_relay.studio.liquid import render
from studio_relay.studio.outside import Gather, Gathered, RelayOutcome, RelayStage
from studio_relay.studio.simulate import walk

SEED = 20
_PIECES = (
    "abc ",
    "I said: ",
    '"',
    "'",
    "\\",
    "\\n",
    "\n",
    "\r\n",
    "\t",
    "\x00",
    "\x1b[31m",
    "\u2028",
    "{{ flow.sid }}",
    "{% raw %}",
    "}}",
    '{"reasonCode":"done"}',
    "</script>",
    "😀",
    "👩\u200d👩\u200d👧",
    "🇩🇪",
    "e\u0301",
    "مرحبا ",
    "\u202eשלום\u202c",
    "你好",
    "ñ",
    "\ufeff",
    "   ",
)


class DeskHandoff(Handoff):
    """What the agent `front-desk` hands over, so that no plugin is needed here."""

    reason_code: Literal["person"] = "person"
    callback_number: str | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """One handoff as it went over the wire, and the attributes that Flex was given for it."""

    handoff: Mapping[str, Any]
    attributes: str

    @property
    def fault(self) -> str | None:
        """What is wrong with the attributes, None if nothing is."""
        try:
            read = json.loads(self.attributes)
        except ValueError as error:
            return f"not JSON: {error}"
        if len(self.attributes) > 1_024:
            return f"{len(self.attributes)} characters"
        if read["reasonCode"] != self.handoff["reasonCode"]:
            return f"the reason code became {read['reasonCode']!r}"
        return None if _is_cut_of(read["summary"], self.handoff["summary"]) else "the summary is another one"


def _is_cut_of(shown: str, whole: str) -> bool:
    return shown == whole or (shown.endswith("...") and whole.startswith(shown[:-3]))


class _Caller:
    """Waits for Flex and says nothing."""

    async def hear(self, text: str) -> None:
        return

    async def gather(self, wanted: Gather) -> Gathered:
        return Gathered()

    def answer(self, widget: str) -> Mapping[str, Any] | None:
        return {"event": "callComplete"} if widget == "flex" else None


def summaries(count: int, seed: int = SEED) -> Iterator[str]:
    """Texts of up to 4 KB, short and long ones, of one kind of character and of all."""
    chance = random.Random(seed)
    for _ in range(count):
        pieces = chance.sample(_PIECES, chance.choice((1, 2, 5, len(_PIECES))))
        length = chance.choice((0, 5, 80, 250, 500, 1_000, 4_096))
        text = ""
        while len(text) < length:
            text += chance.choice(pieces)
        yield text[:length]


async def tasks(count: int, seed: int = SEED) -> list[Task]:
    """So many handoffs, each walked from the relay to Flex."""
    flow = load_flow(FLOWS / "front-desk-to-flex.json")
    return [await _task(flow, text, number) for number, text in enumerate(summaries(count, seed))]


async def _task(flow: Flow, summary: str, number: int) -> Task:
    told = DeskHandoff(summary=summary, callback_number=summary[:40] if number % 2 else None).to_wire()

    async def relay(stage: RelayStage) -> RelayOutcome:
        return RelayOutcome(status="ended", session_id="VX1", duration_ms=1_000, handoff_data=told)

    walked = await walk(flow, call={"From": "+15550100001"}, caller=_Caller(), relay=relay)
    assert walked.widgets[-1] == "flex"
    rendered = render(flow.widget("flex").text("attributes"), walked.context)
    assert rendered.warnings == ()
    return Task(handoff=json.loads(told), attributes=rendered.text)


def _main(count: int) -> int:
    found = asyncio.run(tasks(count))
    faults = [task.fault for task in found if task.fault]
    longest = max(len(task.attributes) for task in found)
    units = max(len(task.attributes.encode("utf-16-le")) // 2 for task in found)
    wide = sum(len(task.attributes.encode("utf-16-le")) // 2 > 1_024 for task in found)
    print(f"{count} handoffs, seed {SEED}: {len(faults)} faults, longest {longest} characters")
    print(f"in UTF-16 units: longest {units}, {wide} beyond 1,024")
    print(*faults[:5], sep="\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(_main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000))
