"""One call to `hello`, as the caller hears it: in process, on a virtual clock, without a phone."""

from __future__ import annotations

from studio_relay.testing.pytest_plugin import Caller


def test_it_says_hello(caller: Caller) -> None:
    call = caller("hello")
    call.say("good morning")
    call.expect.heard("Hello! You said: good morning")
