"""The log: one JSON object a line, whatever stands in it; what repeats is told once, and counted."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studio_relay import watchdog
from studio_relay.log import CALL, REPEATS, REPEATS_IN_CALL, SESSION, Folding, JsonFormatter, shown

BIDI = "\u202egnp.exe\u2066"


class Lines(logging.Handler):
    """Keeps what would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(self.format(record)))

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What the logger `folded` writes; its folds are told at once when the test asks for it."""
    handler, log = Lines(), logging.getLogger("folded")
    handler.addFilter(Folding(handler, seconds=3_600))
    log.handlers, log.propagate = [handler], False
    yield handler
    log.handlers = []


def tell(lines: Lines, *, due: bool = True) -> None:
    """The time of the folds is over."""
    [folding] = lines.filters
    assert isinstance(folding, Folding)
    folding.tell(everything=due)


log = logging.getLogger("folded")


def test_what_repeats_is_told_once_and_counted(lines: Lines) -> None:
    for number in range(58):
        log.error("the store could not be read: %s", number, extra=REPEATS)
    assert lines.messages == ["the store could not be read: 0"]
    tell(lines)
    assert lines.messages[1:] == ["the store could not be read: 57 (57 more like it)"]
    tell(lines)
    log.error("the store could not be read: %s", 58, extra=REPEATS)
    assert lines.messages[2:] == ["the store could not be read: 58"]


def test_what_came_once_is_not_told_again(lines: Lines) -> None:
    log.error("once", extra=REPEATS)
    tell(lines)
    assert lines.messages == ["once"]


def test_different_lines_are_not_folded_into_one(lines: Lines) -> None:
    for _ in range(2):
        log.warning("read", extra=REPEATS)
        log.warning("written", extra=REPEATS)
        log.warning("asked", extra={"repeats": "one"})
        log.warning("asked", extra={"repeats": "another"})
        log.warning("unmarked")
    assert lines.messages == ["read", "written", "asked", "asked", "unmarked", "unmarked"]


def test_calls_have_their_own_count_and_keep_their_ids(lines: Lines) -> None:
    for call in ("CA1", "CA2"):
        CALL.set(call)
        SESSION.set(call.replace("CA", "VX"))
        for _ in range(3):
            log.warning("frame refused", extra=REPEATS_IN_CALL)
    CALL.set("")
    tell(lines)
    assert [(line["call"], line["session"]) for line in lines.lines] == [("CA1", "VX1"), ("CA2", "VX2")] * 2
    assert lines.messages[2:] == ["frame refused (2 more like it)"] * 2


def test_what_is_not_due_waits(lines: Lines) -> None:
    log.warning("early", extra=REPEATS)
    log.warning("early", extra=REPEATS)
    tell(lines, due=False)
    assert lines.messages == ["early"]


def test_ever_new_kinds_of_lines_fill_neither_log_nor_memory(lines: Lines) -> None:
    for number in range(5_000):
        log.warning("upgrade refused", extra={"repeats": str(number)})
    assert len(lines.lines) <= 1_001
    [folding] = lines.filters
    assert isinstance(folding, Folding)
    assert len(folding._folds) <= 1_001


def written(text: str) -> str:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "refused: %s", (text,), None)
    return JsonFormatter().format(record)


@given(st.text() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Zl", "Zp"])))
def test_a_line_is_one_line_of_plain_characters(text: str) -> None:
    line = written(text)
    assert line.isprintable()
    assert len(line.splitlines()) == 1
    line.encode()
    assert json.loads(line)["message"].encode("utf-16", "surrogatepass") == f"refused: {text}".encode(
        "utf-16", "surrogatepass"
    )


@pytest.mark.parametrize("text", ["\n{}", "\r", "\x1b[2J", "\x85", "\u2028", BIDI, "\ud800", "\x7f"])
def test_nothing_that_a_terminal_acts_on_is_written(text: str) -> None:
    assert all(character.isprintable() for character in written(text))


def test_a_message_that_is_too_long_is_cut() -> None:
    message = json.loads(written("x" * 1_000_000))["message"]
    assert len(message) < 8_100
    assert message.endswith("… (992009 characters left out)")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/relay/sales", "/relay/sales"),
        ("/relay\n{}", "/relay\\n{}"),
        (BIDI, "\\u202egnp.exe\\u2066"),
        ("x" * 500, "x" * 119 + "…"),
        ("\U0001f600" * 500, ("\\U0001f600" * 12)[:119] + "…"),
        ("it's", "it's"),
    ],
)
def test_text_from_outside_is_escaped_and_cut(text: str, expected: str) -> None:
    assert shown(text) == expected


# --- the watchdog does not blame our own imports ---------------------------------------------------------


def imported_by(importer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FrameType:
    """The frame of a module while it is imported, two levels deep, by code of the file `importer`."""
    (tmp_path / "slow_outer.py").write_text("def load():\n    import slow_inner\nload()\n")
    (tmp_path / "slow_inner.py").write_text("import sys\nseen.append(sys._getframe())\n")
    seen: list[FrameType] = []
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(__builtins__ if isinstance(__builtins__, dict) else vars(__builtins__), "seen", seen)
    names: dict[str, Any] = {}
    exec(compile("def hook():\n    import slow_outer", importer, "exec"), names)
    try:
        names["hook"]()
    finally:
        for name in ("slow_outer", "slow_inner"):
            sys.modules.pop(name, None)
    return seen[0]


@pytest.mark.parametrize(
    ("importer", "ours"),
    [(str(Path(watchdog.__file__).parent / "server" / "app.py"), True), ("/plugins/orders/agent.py", False)],
)
def test_only_our_own_import_is_not_blamed(
    importer: str, ours: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest itself is no part of an import here, so the outermost importer is the function that we made.
    assert watchdog._is_our_own_import(imported_by(importer, tmp_path, monkeypatch)) is ours


def test_what_is_not_an_import_is_never_ours() -> None:
    assert not watchdog._is_our_own_import(sys._getframe())
    assert not watchdog._is_our_own_import(None)


# --- plugins and libraries ----------------------------------------------------------------------------------


def logging_module(folder: Path, name: str) -> Any:
    """A module whose `log` writes a line of a logger, and whose root is a plugin's if it is adopted."""
    import importlib

    (folder / f"{name}.py").write_text(
        "import logging\n\ndef log(logger, level, text):\n    logging.getLogger(logger).log(level, text)\n"
    )
    return importlib.import_module(name)


@pytest.mark.parametrize("logger", ["pizza", "pizza_agent.deep", None])
def test_what_a_plugin_logs_is_json_with_the_ids_of_its_call(
    logger: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from studio_relay import log as log_module

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(log_module, "_adopted", ())
    logging.getLogger().handlers = []
    agent, library = logging_module(tmp_path, "pizza_agent"), logging_module(tmp_path, "pizza_library")
    log_module.configure("info")
    log_module.adopt([Path(agent.__file__)])
    call, session = CALL.set("CA1"), SESSION.set("VX1")
    agent.log(logger, logging.INFO, "an order")
    agent.log(logger, logging.DEBUG, "what it is made of")
    library.log("library", logging.INFO, "asked https://example.com")
    library.log("library", logging.WARNING, "slow")
    CALL.reset(call)
    SESSION.reset(session)
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["message"], line["level"], line["call"], line["session"]) for line in told] == [
        ("an order", "info", "CA1", "VX1"),
        ("slow", "warning", "CA1", "VX1"),
    ]
    assert told[0]["logger"] == (logger or "root")


def test_a_root_logger_that_somebody_set_up_keeps_the_lines_of_libraries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from studio_relay import log as log_module

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(log_module, "_adopted", ())
    theirs = Lines()
    logging.getLogger().handlers = [theirs]
    library = logging_module(tmp_path, "other_library")
    log_module.configure("info")
    library.log("library", logging.WARNING, "slow")
    assert capsys.readouterr().err == ""
    assert theirs.messages == ["slow"]
