"""What of a call is replaced before it reaches a file: ids, numbers, names, hosts, parameter values, keys, digits.

Nothing here reads or writes; one `Masker` serves one call, so that the same value always gets the same stand-in.
Words stay: what was said is what a recording is for. Fields that are not known fall on the hidden side: in frames of
unknown types, in unknown fields, and in text that is no frame, what `setup` told of the caller is looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from studio_relay.recording.known_values import KnownValues

Json = Any
"""A value as `json` gives it."""

_ID = r"[A-Z]{2}[0-9a-f]{32}"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_DIGITS = r"\d(?:[ .\-()]{0,2}\d){3,}"
"""Four digits or more, also in the groups in which numbers are written."""

_SPEECH = re.compile(f"(?P<id>{_ID}|{_UUID})|(?P<digits>{_DIGITS})")
# Schemes are looked for where words begin: from each letter of a word of n letters it would be n * n / 2 steps.
_URL = re.compile(r"(?<!\w)(?P<scheme>\w+)://(?:[^/\s\"'<>?#]*@)?(?P<host>[^/\s\"'<>?#]*)(?P<rest>[^\s\"'<>]*)")
_RUN_GOES_ON = re.compile(r"\d[ .\-()]{0,2}\Z")
_NUMBER = re.compile(r"\+?(?:[\s().\-]*\d){3,}[\s().\-]*")
_NOBODY = frozenset({"anonymous", "restricted", "unknown", "unavailable", "private"})
_PLAIN = re.compile(r"(?!.*\d{4})[A-Za-z][A-Za-z0-9_-]{0,31}|\d{1,6}|\d{4}-\d\d-\d\d")
"""What states, counts, error codes and versions look like; anything else in their place is masked."""

_TELLTALE = re.compile(r"setup|callerName|customParameters|handoffData|HandoffData|[\"'](?:from|to)[\"']")
_ECHO = re.compile(r"(?P<said>.*?code: \d{5}, )(?P<echo>.*)", re.DOTALL)
SPEED_HEADER = "x-studio-relay-speed"
"""How much faster than real time a simulated call is made; recordings need it to tell how long things took."""

_INFO_NAMES = frozenset({"agentSpeaking", "clientSpeaking", "tokensPlayed", "roundTripDelayMs", "configUpdated"})
_HARMLESS_FIELDS = ("lang", "last", "interruptible", "preemptible", "loop", "ttsLanguage", "transcriptionLanguage")

_SHOWN_HEADERS = frozenset({"user-agent", "sec-websocket-version", "x-forwarded-proto", SPEED_HEADER})


class Masker:
    """The stand-ins of one call. With `full` everything is left as it is, but for what is never recorded at all."""

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self._known: dict[tuple[str, str], str] = {}
        self._counts: dict[str, int] = {}
        self._tones: set[str] = set()
        self._of_setup = KnownValues()
        self._learning = False

    # Public: one method for each kind of thing in a recording.

    def frame(self, frame: Mapping[str, Json]) -> dict[str, Json]:
        """A frame of either direction. The token of a `text` frame is left to `tokens`, which sees its neighbours."""
        if self.full:
            return dict(frame)
        if frame.get("type") == "setup":
            return self.learn(frame)
        kind = frame.get("type")
        known = isinstance(kind, str) and (kind not in ("info", "debug") or frame.get("name") in _INFO_NAMES)
        rules = self._frame_rules().get(str(kind)) if known else None
        if rules is None:
            rules = {"type": self._unknown_type}
        return {
            name if name in rules else self._unknown_text(name): rules.get(name, self._unknown)(value)
            for name, value in frame.items()
        }

    def learn(self, setup: Mapping[str, Json]) -> dict[str, Json]:
        """A `setup`, masked; what it tells is known from now on."""
        rules = self._frame_rules()["setup"]
        self._learning = not self.full
        try:
            return {self.speech(name): rules.get(name, self.value)(value) for name, value in setup.items()}
        finally:
            self._learning = False

    def tokens(self, tokens: Sequence[str]) -> list[str]:
        """Consecutive text tokens, masked as the one text that they are: digits come in pieces."""
        if self.full:
            return list(tokens)
        masked = self.speech("".join(tokens))
        ends = [sum(map(len, tokens[: index + 1])) for index in range(len(tokens))]
        return [masked[end - len(token) : end] for token, end in zip(tokens, ends, strict=True)]

    def raw(self, text: str) -> str:
        """Text that was not taken for a frame. What looks like the remains of a frame with names is blotted out."""
        if self.full:
            return text
        frame = _object(text)
        if frame is not None:
            whole = self.frame(frame)
            if isinstance(whole.get("token"), str):
                whole["token"] = self.speech(whole["token"])
            return _compact(whole)
        if _TELLTALE.search(text):
            return re.sub(r"\d", "0", re.sub(r"[^\W\d_]", "x", text))
        return self._unknown_text(text)

    def form(self, form: Mapping[str, str]) -> dict[str, str]:
        """The fields of a webhook. `CallToken` is a credential and is never kept."""
        return {name: self._field(name, value) for name, value in form.items()}

    def twiml(self, document: str) -> str:
        """TwiML we answered with; what cannot be parsed is not shown."""
        if self.full:
            return document
        try:
            root = ElementTree.fromstring(document)
        except ElementTree.ParseError:
            return "<masked/>"
        for element in root.iter():
            self._element(element)
        return '<?xml version="1.0" encoding="UTF-8"?>' + ElementTree.tostring(root, encoding="unicode")

    def headers(self, headers: Sequence[tuple[str, str]]) -> dict[str, Json]:
        """The harmless headers with their values, the rest by name: no signature, no cookie, no address."""
        lower = [(name.lower(), value) for name, value in headers]
        shown = {name: value for name, value in lower if name in _SHOWN_HEADERS}
        hosts = {name: self._host(value) for name, value in lower if name == "host"}
        others = sorted({name for name, _ in lower} - {*shown, *hosts})
        return {"headers": {**hosts, **shown}, "otherHeaders": others}

    def speech(self, text: str) -> str:
        """What was said or heard: words stay, digits and ids go; the length stays the same."""
        return text if self.full else _SPEECH.sub(self._run, text)

    def text(self, text: str) -> str:
        """As `speech`, and the hosts and query values of URLs go too."""
        if self.full:
            return text
        pieces, end = [], 0
        for url in _URL.finditer(text):
            pieces += [self.speech(text[end : url.start()]), self._url(url)]
            end = url.end()
        return "".join([*pieces, self.speech(text[end:])])

    def reference(self, reference: str) -> str:
        """A path with its query: names of the query stay, values go, a fragment is dropped."""
        if self.full:
            return reference
        path, mark, query = reference.partition("#")[0].partition("?")
        pairs = [pair.partition("=") for pair in query.split("&")] if query else []
        masked = "&".join(f"{self.speech(name)}{equals}{self.value(value)}" for name, equals, value in pairs)
        return self.text(path) + mark + masked

    def any(self, value: Json) -> Json:
        """A value of which only the shape is known."""
        if self.full or value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, int | float):
            return value if abs(value) < 1000 else 0
        return self._within(value, self.any)

    def value(self, value: Json) -> Json:
        """A value that belongs to the caller: all of it is replaced."""
        if self.full or value is None or isinstance(value, bool) or value == "":
            return value
        if isinstance(value, int | float):
            if self._learning:
                self._of_setup.learn(str(value), "0")
            return 0
        if not isinstance(value, str):
            return self._within(value, self.value)
        if re.fullmatch(f"{_ID}|{_UUID}", value):
            return self._id(value)
        if _NUMBER.fullmatch(value):
            return self._number(value)
        url = _URL.fullmatch(value)
        return self._url(url) if url else self._stand_in("value", value)

    # Rules by place.

    def _frame_rules(self) -> Mapping[str, Mapping[str, Callable[[Json], Json]]]:
        kept = {"type": self._plain, **dict.fromkeys(_HARMLESS_FIELDS, self.any)}
        ids = ("sessionId", "callSid", "parentCallSid", "accountSid", "applicationSid", "conversationId")
        telnyx_ids = ("callControlId", "callSessionId", "callLegId")
        states = ("direction", "callType", "callStatus")
        info = {**kept, "name": self._plain, "value": self._info_value}
        return {
            "setup": {
                **kept,
                **dict.fromkeys((*ids, *telnyx_ids), self._id),
                **dict.fromkeys(states, self._plain),
                **dict.fromkeys(("from", "to", "forwardedFrom"), self._number),
                "callerName": self._name,
            },
            "prompt": {**kept, "voicePrompt": self._spoken, "conversationId": self._id},
            "dtmf": {**kept, "digit": self._keys},
            "interrupt": {
                **kept,
                "utteranceUntilInterrupt": self._spoken,
                "durationUntilInterruptMs": self._duration,
                "conversationId": self._id,
            },
            "info": info,
            "debug": info,
            "error": {**kept, "description": self._description},
            "text": {**kept, "token": lambda token: token if isinstance(token, str) else self.any(token)},
            "play": {**kept, "source": self.value},
            "sendDigits": {**kept, "digits": self._sent_digits},
            "end": {**kept, "handoffData": self._handoff},
        }

    def _field(self, name: str, value: str) -> str:
        if name == "CallToken":
            return "<redacted>"
        if self.full or not value:
            return value
        if name.endswith("Sid") or name == "SessionId":
            return str(self._id(value))
        if name in _NUMBER_FIELDS:
            return str(self._number(value))
        if name == "HandoffData":
            return str(self._handoff(value))
        if name in _PLAIN_FIELDS or name.endswith("Country"):
            return str(self._plain(value))
        return self.text(value) if name == "ErrorMessage" else str(self.value(value))

    def _element(self, element: ElementTree.Element) -> None:
        inside = self.value if element.tag in ("Number", "Client", "Sip", "Dial") else self.speech
        if element.text and element.text.strip():
            element.text = str(inside(element.text.strip()))
        if element.tail and element.tail.strip():
            element.tail = self.speech(element.tail)
        for name, value in element.attrib.items():
            if element.tag == "Parameter" and name == "value":
                element.set(name, str(self.value(value)))
            else:
                element.set(name, self.reference(value) if "?" in value else self.text(value))

    def _handoff(self, value: Json) -> Json:
        data = _object(value) if isinstance(value, str) else None
        if data is None:
            return self.value(value)
        shown: dict[str, Callable[[Json], Json]] = {
            "reasonCode": self._plain,
            "version": self.any,
            "summary": self._spoken,
        }
        return _compact({self.speech(name): shown.get(name, self.value)(item) for name, item in data.items()})

    def _description(self, value: Json) -> Json:
        """An `error` repeats our own frame after its code; the code stays."""
        found = _ECHO.fullmatch(value) if isinstance(value, str) else None
        return found["said"] + self.raw(found["echo"]) if found else self.any(value)

    def _info_value(self, value: Json) -> Json:
        return self._keys(value) if isinstance(value, str) and value in self._tones else self._spoken(value)

    def _sent_digits(self, value: Json) -> Json:
        if isinstance(value, str):
            self._tones.add(value)
        return self._keys(value)

    # Kinds of values.

    def _plain(self, value: Json) -> Json:
        return value if isinstance(value, str) and _PLAIN.fullmatch(value) else self.value(value)

    def _spoken(self, value: Json) -> Json:
        return self.speech(value) if isinstance(value, str) else self._unknown(value)

    def _duration(self, value: Json) -> Json:
        """Milliseconds; some senders write them as text, or with decimals."""
        return value if re.fullmatch(r"-?\d{1,7}(\.\d+)?", str(value)) else self.any(value)

    def _keys(self, value: Json) -> Json:
        return re.sub(r"[\dA-Da-d]", "0", value) if isinstance(value, str) else self.value(value)

    def _id(self, value: Json) -> Json:
        if not isinstance(value, str) or not value:
            return self.any(value)
        if re.fullmatch(_UUID, value):
            return self._stand_in("uuid", value)
        return self._stand_in(value[:2] if re.fullmatch(_ID, value) else "id", value)

    def _number(self, value: Json) -> Json:
        if not isinstance(value, str) or not value or value.lower() in _NOBODY:
            return value if isinstance(value, str) else self.value(value)
        scheme, colon, rest = value.partition(":")
        if colon and scheme in ("client", "sip", "sips"):
            return f"{scheme}:{self._stand_in('name', rest)}"
        return self._stand_in("number" if _NUMBER.fullmatch(value) else "name", value)

    def _name(self, value: Json) -> Json:
        return self._stand_in("name", value) if isinstance(value, str) and value else self.value(value)

    def _host(self, value: str) -> str:
        return value if self.full or not value else self._stand_in("host", value.lower())

    def _url(self, url: re.Match[str]) -> str:
        rest = url["rest"]
        masked = f"/{self._stand_in('value', rest)}" if "://" in rest else self.reference(rest)  # one within another
        return f"{url['scheme']}://{self._host(url['host'])}{masked}"

    def _run(self, found: re.Match[str]) -> str:
        return str(self._id(found["id"])) if found["id"] else re.sub(r"\d", "0", found["digits"])

    def _within(self, value: Json, mask: Callable[[Json], Json]) -> Json:
        if isinstance(value, Mapping):
            return {self.speech(str(name)): mask(item) for name, item in value.items()}
        return [mask(item) for item in value] if isinstance(value, list | tuple) else "masked"

    def _stand_in(self, kind: str, value: str) -> str:
        if (kind, value) not in self._known:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._known[kind, value] = _written(kind, self._counts[kind])
        if self._learning:
            self._of_setup.learn(value, self._known[kind, value])
        return self._known[kind, value]

    # What the protocol does not know.

    def _unknown(self, value: Json) -> Json:
        """As `any`, and without what `setup` told."""
        if isinstance(value, Mapping):
            return {self._unknown_text(str(name)): self._unknown(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._unknown(item) for item in value]
        if isinstance(value, str):
            return self._unknown_text(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and value in self._of_setup:
            return 0
        return self.any(value)

    def _unknown_text(self, text: str) -> str:
        if self.full:
            return text
        if self._of_setup.is_full:  # more than can be looked for: then no word of it is shown
            return str(self.value(text))
        return self._of_setup.replaced(self.text(text))

    def _unknown_type(self, kind: Json) -> Json:
        plain = self._plain(kind)
        return self._of_setup.replaced(plain) if isinstance(plain, str) else plain


_NUMBER_FIELDS = frozenset({"From", "To", "Caller", "Called", "ForwardedFrom", "CalledVia"})
_PLAIN_FIELDS = frozenset(
    {
        "ApiVersion", "CallStatus", "Direction", "SessionStatus", "SessionDuration", "ErrorCode", "CallDuration",
        "Duration", "SequenceNumber", "CallbackSource", "SipResponseCode", "StirStatus", "StirVerstat", "FlowEvent",
    }
)  # fmt: skip


def run_goes_on(text: str) -> bool:
    """Whether the next token may continue a run of digits at the end of `text`."""
    return _RUN_GOES_ON.search(text) is not None


def _written(kind: str, count: int) -> str:
    """Stand-ins have the shape of what they stand for, so that a replay takes them."""
    if len(kind) == 2 and kind.isupper():
        return f"{kind}{count:032d}"
    if kind == "uuid":
        return f"00000000-0000-0000-0000-{count:012d}"
    if kind == "number":
        return f"+1555010{count:04d}"
    return f"host-{count}.example.com" if kind == "host" else f"{kind}-{count}"


def _object(text: str) -> dict[str, Json] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _compact(value: Mapping[str, Json]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
