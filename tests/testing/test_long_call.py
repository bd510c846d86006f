"""A call of five minutes with barge-ins, keys and a handoff: in process, twice, identical, at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from studio_relay import hookimpl
from studio_relay.testing import AsgiTransport, Line, Run, parse_script, run_call, run_virtual
from studio_relay.testing.pytest_plugin import AUTH_TOKEN, SOCKET_URL, make_app

SCRIPT = """
steps:
  - say: tell me a story
  - talk_over: {after_words: 12, say: "No, another one."}
  - talk_over: {after_words: 7, say: "And another."}
  - talk_over: {after_ms: 4000, say: "I would like to leave my number."}
  - hear: which number
  - press: "5550100007#"
  - silence: 280
  - say: and now a person
expect:
  handoff: {reasonCode: person}
  hear: thank you
  status: ended
timeout: 400
"""


class Storyteller:
    """Talks for long, takes a number, hands over."""

    @hookimpl
    async def on_prompt(self, call: Any, prompt: Any) -> AsyncIterator[str]:
        if "number" in prompt.voice_prompt:
            yield "Which number, please? "
            digits = await call.collect_digits(max_digits=11, timeout=10)
            yield f"Thank you, that is {len(digits or '')} digits."
        elif "person" in prompt.voice_prompt:
            await call.end({"reasonCode": "person", "version": 1})
        else:
            for _ in range(20):
                yield "Once upon a time there was a relay that told very long stories. "


def play() -> tuple[Run, list[dict[str, Any]], float]:
    began = time.perf_counter()

    async def main() -> Run:
        async with AsgiTransport(make_app(Storyteller())) as transport:
            line = Line(transport=transport, auth_token=AUTH_TOKEN, seed=1)
            return await run_call(line, SOCKET_URL, parse_script(SCRIPT))

    run = run_virtual(main())
    call = run.sessions[0].call
    assert call is not None
    return run, call.log, time.perf_counter() - began


def test_five_minutes_twice() -> None:
    first, second = play(), play()
    assert first[0].ok, first[0].checks
    assert first[0].timings.total_ms > 300_000
    interrupts = [line for line in first[1] if line.get("frame", {}).get("type") == "interrupt"]
    assert len(interrupts) == 3
    assert first[1] == second[1]
    assert first[0].to_json() == second[0].to_json()
    assert max(first[2], second[2]) < 30  # under a second each; the bound only catches a clock that is real
