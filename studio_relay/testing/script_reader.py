"""Reads the YAML of a caller script: every scalar as text, every node with its line, every word checked.

What the steps mean is in `script.py` and `relay.py`, and YAML itself is read in `yaml_nodes.py`.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from studio_relay.errors import ScriptError
from studio_relay.testing.matching import TextPattern, fold
from studio_relay.testing.script import (
    DropSocket,
    Expectation,
    HangUp,
    Hear,
    Press,
    Say,
    Script,
    ScriptedCall,
    SendRaw,
    Silence,
    Step,
    TalkOver,
)
from studio_relay.testing.yaml_nodes import TooLarge, compose

MAX_BYTES = 262_144
MAX_DEPTH = 20
STATUSES = ("ended", "completed", "failed")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?$")
_MAX_SECONDS = 86_400.0
_SECONDS = {"ms": 0.001, "s": 1.0, None: 1.0, "m": 60.0}
_KEYS = re.compile(r"[0-9A-D*#w]+$")


def read_script(text: str, name: str, path: Path | None) -> Script:
    """See `parse_script`."""
    try:
        return _Reader(name).script(text, path)
    except RecursionError:
        raise ScriptError(f"{name}: nested too deeply for a script") from None


class _Reader:
    """Turns YAML nodes into a script, and knows the file's name for messages."""

    def __init__(self, name: str) -> None:
        self._name = name

    def script(self, text: str, path: Path | None) -> Script:
        top = self._fields(self._compose(text), "a script", _TOP)
        steps = top.get("steps")
        script = Script(
            name=path.stem if path else self._name,
            path=path,
            flow=self._text(top["flow"], "flow") if "flow" in top else None,
            call=self._call(top["call"]) if "call" in top else ScriptedCall(),
            answers=self._answers(top["answers"]) if "answers" in top else {},
            steps=tuple(self._step(node) for node in self._items(steps, "steps")) if steps else (),
            expect=tuple(self._expectations(top["expect"])) if "expect" in top else (),
            media=self._media(top["media"]) if "media" in top else {},
            timeout=self._duration(top["timeout"], "timeout") if "timeout" in top else 10.0,
        )
        if not script.steps and not script.expect:
            raise ScriptError(f"{self._name}: expected `steps` or `expect`, found neither")
        self._check_possible(script)
        return script

    def _compose(self, text: str) -> yaml.Node:
        if len(text.encode()) > MAX_BYTES:
            raise ScriptError(f"{self._name}: larger than {MAX_BYTES} bytes; a script is shorter")
        try:
            node = compose(text)
        except TooLarge as error:
            raise ScriptError(f"{self._name}:{error.line}: {error}", line=error.line) from None
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else None
            raise ScriptError(f"{self._name}:{line}: not YAML: {error.problem}", line=line) from None
        except yaml.YAMLError as error:
            raise ScriptError(f"{self._name}: not YAML: {error}") from None
        if node is None:
            raise ScriptError(f"{self._name}:1: empty; a script begins with `steps:`", line=1)
        return node

    def _fail(self, node: yaml.Node, message: str) -> NoReturn:
        line = node.start_mark.line + 1
        raise ScriptError(f"{self._name}:{line}: {message}", line=line)

    # Pieces of YAML

    def _pairs(self, node: yaml.Node, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, f"expected {what} as `key: value` lines, found {_shape(node)}")
        pairs: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            name = self._text(key, "a key")
            if name in pairs:
                self._fail(key, f"`{name[:40]}` stands twice in {what}; keep one")
            pairs[name] = (key, value)
        return pairs

    def _fields(self, node: yaml.Node, what: str, allowed: Iterable[str]) -> dict[str, yaml.Node]:
        pairs = self._pairs(node, what)
        for name, (key, _) in pairs.items():
            if name not in allowed:
                self._fail(key, f"unknown key `{name[:40]}` in {what}{_suggestion(name, allowed)}")
        return {name: value for name, (_, value) in pairs.items()}

    def _items(self, node: yaml.Node, what: str) -> list[yaml.Node]:
        if not isinstance(node, yaml.SequenceNode):
            self._fail(node, f"expected `{what}` as a list of `- …` lines, found {_shape(node)}")
        items: list[yaml.Node] = node.value
        return items

    def _text(self, node: yaml.Node, what: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, f"expected text for {what}, found {_shape(node)}")
        return str(node.value)

    def _spoken(self, node: yaml.Node, what: str) -> str:
        text = self._text(node, what)
        if not text.strip():
            self._fail(node, f"expected some text for `{what}`, found nothing")
        return text

    def _duration(self, node: yaml.Node, what: str) -> float:
        text = self._text(node, what).strip()
        match = _DURATION.match(text)
        seconds = float(match[1]) * _SECONDS[match[2]] if match else math.inf
        if seconds > _MAX_SECONDS:
            self._fail(node, f"`{what}` must be a time such as 2, 1.5s, 300ms or 2m, at most a day, found {_cut(text)}")
        return seconds

    def _whole(self, node: yaml.Node, what: str) -> int:
        text = self._text(node, what).strip()
        if not re.fullmatch("[0-9]{1,9}", text):
            self._fail(node, f"`{what}` must be a whole number of at most 9 digits, found {_cut(text)}")
        return int(text)

    def _keys(self, node: yaml.Node, what: str) -> str:
        keys = self._text(node, what).replace(" ", "")
        if not _KEYS.match(keys):
            self._fail(node, f"`{what}` must be of the keys 0-9 * # (w waits half a second), found {_cut(keys)}")
        return keys

    def _pattern(self, node: yaml.Node, what: str) -> TextPattern:
        text = self._spoken(node, what)
        try:
            return TextPattern(text)
        except re.error as error:
            self._fail(node, f"`{what}` is no regular expression: {error}")

    def _plain(self, node: yaml.Node, depth: int = 0) -> Any:
        if depth > MAX_DEPTH:
            self._fail(node, "nested too deeply for a script")
        if isinstance(node, yaml.MappingNode):
            pairs = self._pairs(node, "a mapping")
            return {name: self._plain(value, depth + 1) for name, (_, value) in pairs.items()}
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, depth + 1) for item in node.value]
        return self._text(node, "a value")

    def _texts(self, node: yaml.Node, what: str) -> dict[str, str]:
        return {name: self._text(value, name) for name, (_, value) in self._pairs(node, what).items()}

    # Parts of a script

    def _call(self, node: yaml.Node) -> ScriptedCall:
        fields = self._fields(node, "`call`", ("from", "to", "parameters"))
        return ScriptedCall(
            from_=self._spoken(fields["from"], "from") if "from" in fields else None,
            to=self._spoken(fields["to"], "to") if "to" in fields else None,
            parameters=self._texts(fields["parameters"], "`parameters`") if "parameters" in fields else {},
        )

    def _answers(self, node: yaml.Node) -> Mapping[str, Mapping[str, Any]]:
        answers = {}
        for widget, (_, value) in self._pairs(node, "`answers`").items():
            answer = self._plain(value) if isinstance(value, yaml.MappingNode) else None
            if answer is None or not isinstance(answer.get("event"), str):
                self._fail(value, f"the answer of `{widget}` needs an `event`, as in {{event: success}}")
            answers[widget] = answer
        return answers

    def _media(self, node: yaml.Node) -> Mapping[str, float]:
        return {url: self._duration(value, url) for url, (_, value) in self._pairs(node, "`media`").items()}

    def _step(self, node: yaml.Node) -> Step:
        line = node.start_mark.line + 1
        if isinstance(node, yaml.ScalarNode):
            name, value = str(node.value), None
        else:
            pairs = self._pairs(node, "a step")
            if len(pairs) != 1:
                self._fail(node, f"expected one step behind each `-`, found {', '.join(pairs) or 'none'}")
            name, (_, value) = next(iter(pairs.items()))
        if name in ("hang_up", "drop_socket"):
            return HangUp(line=line) if name == "hang_up" else DropSocket(line=line)
        if name not in _STEPS:
            self._fail(node, f"unknown step `{name[:40]}`{_suggestion(name, (*_STEPS, 'hang_up', 'drop_socket'))}")
        if value is None:
            self._fail(node, f"`{name}` needs something behind it, as in `- {name}: …`")
        return _STEPS[name](self, line, value)

    def hear(self, line: int, value: yaml.Node) -> Step:
        return Hear(line=line, text=self._pattern(value, "hear"))

    def say(self, line: int, value: yaml.Node) -> Step:
        return Say(line=line, text=self._spoken(value, "say"))

    def press(self, line: int, value: yaml.Node) -> Step:
        return Press(line=line, keys=self._keys(value, "press"))

    def silence(self, line: int, value: yaml.Node) -> Step:
        return Silence(line=line, seconds=self._duration(value, "silence"))

    def send_raw(self, line: int, value: yaml.Node) -> Step:
        return SendRaw(line=line, text=self._text(value, "send_raw"))

    def talk_over(self, line: int, value: yaml.Node) -> Step:
        fields = self._fields(value, "`talk_over`", ("say", "press", "after_words", "after_ms"))
        if len({"say", "press"} & set(fields)) != 1:
            self._fail(value, "`talk_over` needs either `say` or `press`")
        if {"after_words", "after_ms"} <= set(fields):
            self._fail(value, "`talk_over` takes `after_words` or `after_ms`, not both")
        return TalkOver(
            line=line,
            say=self._spoken(fields["say"], "say") if "say" in fields else "",
            keys=self._keys(fields["press"], "press") if "press" in fields else "",
            after_words=self._whole(fields["after_words"], "after_words") if "after_words" in fields else None,
            after_ms=self._whole(fields["after_ms"], "after_ms") if "after_ms" in fields else None,
        )

    def _expectations(self, node: yaml.Node) -> Iterable[Expectation]:
        self._fields(node, "`expect`", _EXPECT)
        for name, (key, value) in self._pairs(node, "`expect`").items():
            line = key.start_mark.line + 1
            if name == "hear":
                yield from self._patterns(line, value, "hear")
            elif name == "not_hear":
                yield from self._patterns(line, value, "not_hear")
            elif name == "path":
                path = [self._spoken(item, "path") for item in self._items(value, "path")]
                yield Expectation(line=line, kind="path", value=path)
            elif name == "status":
                yield Expectation(line=line, kind="status", value=self._status(value))
            elif name == "handoff":
                yield Expectation(line=line, kind="handoff", value=self._mapping(value, "handoff"))
            else:
                yield Expectation(line=line, kind="variables", value=self._mapping(value, "variables"))

    def _mapping(self, node: yaml.Node, what: str) -> dict[str, Any]:
        self._pairs(node, f"`{what}`")
        plain: dict[str, Any] = self._plain(node)
        return plain

    def _patterns(self, line: int, node: yaml.Node, what: str) -> Iterable[Expectation]:
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for item in nodes:
            at = item.start_mark.line + 1 if len(nodes) > 1 else line
            pattern = self._pattern(item, what)
            yield Expectation(line=at, kind="hear" if what == "hear" else "not_hear", value=pattern)

    def _status(self, node: yaml.Node) -> str:
        status = self._text(node, "status")
        if status not in STATUSES:
            found = f"`status` is one of {', '.join(STATUSES)}, found {_cut(status)}"
            self._fail(node, found + _suggestion(status, STATUSES))
        return status

    def _check_possible(self, script: Script) -> None:
        """Refuse what can never hold, whatever the server does."""
        heard = {fold(str(e.value)): e for e in script.expect if e.kind == "hear"}
        handoff = next((e for e in script.expect if e.kind == "handoff"), None)
        for expectation in script.expect:
            fault = None
            if expectation.kind == "not_hear" and fold(str(expectation.value)) in heard:
                fault = f"`not_hear: {expectation.value}` can never hold, `hear` asks for the same text"
            elif expectation.kind == "not_hear" and (step := _waited_for(script, expectation)):
                fault = f"`not_hear: {expectation.value}` can never hold, line {step.line} waits to hear it"
            elif expectation.kind == "status" and handoff and expectation.value != "ended":
                fault = f"`status: {expectation.value}` can never hold, only `ended` has a `handoff`"
            elif expectation.kind == "path" and not expectation.value:
                fault = "an empty `path` can never hold; write [Trigger, ...]"
            if fault:
                raise ScriptError(f"{self._name}:{expectation.line}: {fault}", line=expectation.line)


def _waited_for(script: Script, expectation: Expectation) -> Hear | None:
    pattern: TextPattern = expectation.value
    if pattern.is_regex:
        return None
    heard = (step for step in script.steps if isinstance(step, Hear) and not step.text.is_regex)
    return next((step for step in heard if fold(str(pattern)) in fold(str(step.text))), None)


_TOP = ("flow", "call", "answers", "media", "steps", "expect", "timeout")
_EXPECT = ("handoff", "path", "not_hear", "hear", "variables", "status")
_STEPS: Mapping[str, Callable[[_Reader, int, yaml.Node], Step]] = {
    "hear": _Reader.hear,
    "say": _Reader.say,
    "press": _Reader.press,
    "talk_over": _Reader.talk_over,
    "silence": _Reader.silence,
    "send_raw": _Reader.send_raw,
}


def _shape(node: yaml.Node) -> str:
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    return f"the text {_cut(str(node.value))}"


def _cut(text: str) -> str:
    return repr(text[:40]) + ("..." if len(text) > 40 else "")


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean `{close[0]}`?" if close else f"; known are {', '.join(known)}"
