"""Every test is run twice: with the agent as it is, and with one that streams its words as a model does."""

from __future__ import annotations

import pytest

from studio_relay.testing.pytest_plugin import Caller


@pytest.fixture(params=["instant", "streaming"])
def caller(caller: Caller, request: pytest.FixtureRequest) -> Caller:
    """The caller of studio-relay's pytest plugin, calling agents of either kind."""
    caller.streaming = request.param == "streaming"
    return caller
