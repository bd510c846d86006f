"""Log lines as JSON with the ids of the call they belong to; decides nothing about what is logged."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime

CALL: ContextVar[str] = ContextVar("studio_relay_call", default="")
SESSION: ContextVar[str] = ContextVar("studio_relay_session", default="")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, the call and session, and `fields` of the record."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if call := CALL.get():
            line |= {"call": call, "session": SESSION.get()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def configure(level: str) -> None:
    """Send the package's log lines to standard error as JSON, `level` and above. Replaces an earlier set-up of ours."""
    logger = logging.getLogger("studio_relay")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logger.handlers = [handler]
    logger.setLevel(level.upper())
    logger.propagate = False
