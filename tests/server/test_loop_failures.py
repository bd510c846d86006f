"""Failures that nobody waited for: named without a caller's words, under every host."""

from __future__ import annotations

import asyncio
import errno
import logging
import resource
import ssl
from typing import Any

import pytest

from studio_relay.server.loop_failures import log_failure


async def told(caplog: pytest.LogCaptureFixture, **context: Any) -> list[logging.LogRecord]:
    log_failure(asyncio.get_running_loop(), context)
    return [record for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
async def test_missing_file_descriptors_are_one_line_with_the_limit(caplog: Any, number: int) -> None:
    [record] = await told(caplog, message="socket.accept() out of system resource", exception=OSError(number, "many"))
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert f"the limit is {limit} (ulimit -n)" in record.getMessage()
    assert getattr(record, "repeats", None)


async def test_the_words_of_a_failure_are_for_level_debug(caplog: Any) -> None:
    [record] = await told(caplog, message="Task exception was never retrieved", exception=ValueError("I am Anna"))
    assert record.getMessage().startswith("a background task failed: ValueError")
    assert "Anna" not in record.getMessage()


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ssl.SSLError("handshake")])
async def test_what_is_nobodys_failure_is_not_told(caplog: Any, error: BaseException) -> None:
    assert await told(caplog, message="", exception=error) == []


async def test_an_application_sets_it_whatever_the_host(serve: Any, caplog: Any) -> None:
    loop = asyncio.get_running_loop()
    relay = serve(object()).relay
    await relay.start()
    try:
        assert loop.get_exception_handler() is log_failure
        assert caplog.text.count("this host cannot drain: SIGTERM cuts live calls.") == 1
    finally:
        await relay.stop()
        loop.set_exception_handler(None)
