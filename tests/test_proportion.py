"""Every parser of text from outside, fed hostile text: twice the text costs at most twice the time, and little of it.

CPU time of this process, so that a busy machine does not decide. Each family of texts goes to each parser: what is
harmless for JSON may be a trap for YAML. A parser may refuse a text; then refusing it is what must be quick.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from studio_relay.errors import RelayError
from studio_relay.handoff import as_handoff
from studio_relay.protocol.parsing import parse
from studio_relay.recording.masking import Masker
from studio_relay.recording.reading import read_recording
from studio_relay.server import webhook
from studio_relay.server.callbacks import SessionOver
from studio_relay.server.forwarded import forwarded
from studio_relay.server.insecure import insecure_refusal
from studio_relay.server.signature import check_http, check_upgrade, form_fields
from studio_relay.server.signed_urls import SignedRequest
from studio_relay.server.visit import Visit
from studio_relay.studio import liquid, subject
from studio_relay.studio.document import read_document
from studio_relay.studio.flow import build_flow
from studio_relay.studio.lint import lint
from studio_relay.testing.clauses import first_clause, heard_of
from studio_relay.testing.script import parse_script
from studio_relay.testing.speech import is_backchannel

SMALL, LARGE = 32 * 1024, 64 * 1024
MOST_SECONDS, MOST_RATIO, TOO_QUICK_TO_COMPARE = 0.020, 2.5, 0.001
MOST_RUNS, HOPELESS_SECONDS = 10, 0.2

ACCOUNT = "AC" + "0" * 32
PUBLIC_URL = "https://relay.example.com"
NETWORKS = [ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8")]

Text = Callable[[int], str]

# ------------------------------------------------------------------------------------------ hostile texts


def run_of(unit: str, before: str = "", after: str = "") -> Text:
    """The same thing again and again; without `after` it is never closed."""
    return lambda size: before + unit * ((size - len(before) - len(after)) // len(unit)) + after


def numbered(form: str, between: str, before: str = "", after: str = "") -> Text:
    """Things that differ by their number."""

    def make(size: int) -> str:
        pieces: list[str] = []
        left = size - len(before) - len(after)
        while left > 0:
            pieces.append(form.replace("#", str(len(pieces))))
            left -= len(pieces[-1]) + len(between)
        return before + between.join(pieces) + after

    return make


NESTING = ["[", "{", "(", "<", "- ", "? ", '{"a":', '[{"a":', "[a,", "{a: ", "<a>", "[", "::", "[::1],"]
CLOSED = ["[]", "{}", "()", '""', "''", "[],", '{"a":1},']
QUOTES = ['"', "'", "`", "\\", '\\"', '"\\', '"a\\"', "'' ", "\\u0000", "\\ud800", "\\ud83d\\ude00"]
MARKUP = [
    "{{", "{%", "}}", "{{ ", "{{ a }}", "{{ a | ", "{{ '", '{{ "', "{% if a %}", "{% raw %}", "{% comment %}", "{% %}",
    "{{ a | append: ", "{%-", "{{  }}", "${", "%{", "${a", "${a}", "<ConversationRelay ", 'url="', "<!--", "&amp;",
]  # fmt: skip
PLAIN = [
    " ",
    "\n",
    "\t",
    "\r\n",
    "\x00",
    "a",
    "a ",
    "é",
    "€",
    "😀",
    "0",
    "1",
    "1 ",
    "12 3",
    "-",
    "1.",
    "9e9",
    "1,",
    "+1",
]
STOPS = [".", "..", ",", ", ", ":", ": ", ";", "!", "! ", ".'", "。", "...a", "!a", "?\n"]
PAIRS = ["a=b&", "a&", "=", "=&", "&", "%", "%4", "%41", "+", "a=%", ";", "a=b;"]
HEADERS = ["10.0.0.1,", "10.0.0.1, ", "127.", "1:", "[", "]", "for=a;", 'for="', "//", "http://", "https,", "Bearer "]
YAML = [
    "&a ",
    "*a ",
    "!a ",
    "#",
    "%",
    "|\n",
    ">\n",
    "a: b\n",
    "---\n",
    "a: {b: ",
    "- - ",
    "- >\n",
    "? a\n",
    "- say: a\n",
]
RUNS_OF = dict.fromkeys([*NESTING, *CLOSED, *QUOTES, *MARKUP, *PLAIN, *STOPS, *PAIRS, *HEADERS, *YAML])

FAMILIES: dict[str, Text] = {f"{unit!r} again and again": run_of(unit) for unit in RUNS_OF} | {
    "a text never closed behind 201 braces": run_of('\\"', "{" * 201 + '"'),
    "braces in a text": run_of("{", '{"type":"info","name":"', '"}'),
    "stops, then a letter": run_of("!", "", "a"),
    "blanks, then a letter": run_of(" ", "", "a"),
    "blanks in an output": run_of(" ", "{{", "}}"),
    "blanks in a tag": run_of(" ", "{% if", "%}"),
    "an output of one long name": run_of("a", "{{ ", " }}"),
    "an output of many filters": run_of("| a ", "{{ a ", " }}"),
    "many keys": numbered('"k#":1', ",", "{", "}"),
    "many keys, one of them twice": numbered('"k#":1', ",", "{", ',"k9":2}'),
    "many keys of YAML": numbered("k#: 1", "\n"),
    "many fields": numbered("k#=1", "&"),
    "many custom parameters": numbered('"k#":[1]', ",", '{"type":"setup","callSid":"CA1","customParameters":{', "}}"),
    "a key of many digits": run_of("1", '{"type":"dtmf","digit":', "}"),
    "a duration of many digits": run_of("1", '{"type":"interrupt","durationUntilInterruptMs":"', '"}'),
    "words": run_of("word ", '{"type":"prompt","voicePrompt":"', '"}'),
    "escaped words": run_of("\\u00e9", '{"type":"prompt","voicePrompt":"', '"}'),
    "control characters": run_of("\\u0001", '{"type":"prompt","voicePrompt":"', '"}'),
    "an error of many digits": run_of("6", '{"type":"error","description":"', '"}'),
    "an error of many codes": run_of("64101 ", '{"type":"error","description":"', '"}'),
    "a moment of many digits": run_of("1", '{"dir":"in","ms":', "}"),
    "recorded frames": run_of('{"ms":1,"dir":"in","frame":{"type":"prompt"}}\n'),
    "recorded sessions": numbered('{"ms":1,"dir":"close","session":#}', "\n"),
    "flows in a list": numbered('{"states":[],"initial_state":"#"}', ",", "[", "]"),
    "flows in a text": lambda size: json.dumps(numbered('{"states":[],"initial_state":"#"}', ",", "[", "]")(size)),
    "objects of a module": run_of('{"a":[1,2,3],b:', "export default "),
    "objects begun and never closed": run_of("1,", "x " + '{"a":' * 64 + "["),
    "a script": run_of("  - say: hello there\n", "steps:\n"),
    "anchors": numbered("  - &a# [x,x,x,x,x]", "\n", "steps:\n"),
    "aliases of a long list": lambda size: (
        "answers:\n w:\n  event: success\n  a: &a [" + "x," * (size // 4) + "x]\n  b: [" + "*a," * (size // 6) + "*a]\n"
    ),
    "aliases of aliases": lambda size: (
        "answers:\n w:\n  event: success\n  a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"  a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 15))
        + "#" * (size - 1000)
    ),
    "a time of many digits": run_of("9", "steps:\n  - silence: "),
    "a count of many digits": run_of("9", "steps:\n  - talk_over: {say: a, after_ms: ", "}"),
}

# ----------------------------------------------------------------------------------------------- parsers

Parser = Callable[[str], Any]


def request(**given: Any) -> SignedRequest:
    """A request by a trusted proxy, signed by nobody we know."""
    headers = [("X-Twilio-Signature", "x"), *given.pop("headers", ())]
    return SignedRequest(
        **{"scheme": "ws", "host": "h", "raw_path": "/relay", "peer": "127.0.0.1", **given}, headers=headers
    )


def upgrade(**given: Any) -> None:
    check_upgrade(request(**given), tokens=("a", "b"), public_url=PUBLIC_URL, trusted_proxies=NETWORKS)


def hook(body: bytes, kind: str, **given: Any) -> None:
    asked = request(scheme="http", headers=[("Content-Type", kind)], **given)
    check_http(asked, body, tokens=("a", "b"), public_url=PUBLIC_URL, trusted_proxies=NETWORKS)


def headers_of(text: str) -> list[tuple[str, str]]:
    return [(name, text) for name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded")]


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def flow_with(text: str, kind: str, **properties: str) -> str:
    return json.dumps(
        {
            "initial_state": "Trigger",
            "states": [
                {"name": "Trigger", "type": "trigger", "transitions": [{"event": "incomingCall", "next": "w"}]},
                {"name": "w", "type": kind, "transitions": [], "properties": {**properties, **{
                    key: text for key, value in properties.items() if value == "..."
                }}},
            ],
        }
    )  # fmt: skip


def lints(kind: str, **properties: str) -> Parser:
    """Lints a flow with the text in one property; the flow itself is read before."""

    def run(text: str) -> Any:
        subject.analysed.cache_clear()
        return lint(read_document(flow_with(text, kind, **properties)))

    return run


def render(text: str) -> Any:
    return liquid.render(text, {"flow": {"variables": {"a": "b"}}, "a": "b"})


def recording(text: str, folder: Path) -> Any:
    path = folder / "call.jsonl"
    if not path.exists() or path.stat().st_size != len(encoded(text)):
        path.write_bytes(encoded(text))
    return read_recording(path)


def handoff(text: str) -> Any:
    with suppress(RelayError):
        as_handoff({"reasonCode": text}).to_wire()
    return as_handoff({"reasonCode": "person", "summary": text, "note": "short"}).to_wire()


PARSERS: dict[str, Parser] = {
    "frame": lambda text: parse(text, max_bytes=4 * LARGE),
    "binary frame": lambda text: parse(encoded(text), max_bytes=4 * LARGE),
    "exported flow": lambda text: build_flow(read_document(text), strict=False),
    "liquid": render,
    "lint: say": lints("say-play", say="...", language="en-US"),
    "lint: body": lints(
        "make-http-request", method="POST", url=PUBLIC_URL, body="...", content_type="application/json"
    ),
    "lint: attributes": lints("send-to-flex", attributes="..."),
    "lint: url": lints("run-conversation-relay", url="..."),
    "lint: greeting": lints("run-conversation-relay", url="wss://relay.example.com/relay", welcome_greeting="..."),
    "lint: voice": lints("run-conversation-relay", url="wss://relay.example.com/relay", voice="...", language="..."),
    "caller script": lambda text: parse_script(text),
    "form": form_fields,
    "form of a webhook": lambda text: webhook._single(webhook._pairs(encoded(text))),
    "JSON of a webhook": lambda text: webhook._json_pairs(encoded(text)),
    "handoff of a webhook": lambda text: (
        SessionOver.read(webhook.Webhook(base="", fields={"HandoffData": text})).is_moved
    ),
    "query of a webhook": lambda text: Visit.read(form_fields(text), ACCOUNT).to_query(),
    "way home": lambda text: Visit.read(
        [("return", f"https://webhooks.twilio.com/v1/Accounts/{ACCOUNT}/Flows/FW{'0' * 32}?{text}")], ACCOUNT
    ),
    "language parameter": lambda text: Visit.read([("language", text)], ACCOUNT).language,
    "forwarded": lambda text: forwarded("127.0.0.1", headers_of(text), NETWORKS),
    "host": lambda text: insecure_refusal("127.0.0.1", text, []),
    "origin": lambda text: insecure_refusal("127.0.0.1", "localhost", [("Origin", text)]),
    "header name": lambda text: insecure_refusal("127.0.0.1", "localhost", [(text, text)]),
    "signature": lambda text: upgrade(headers=[("X-Twilio-Signature", text)]),
    "signature settings": lambda text: upgrade(headers=[("X-Twilio-Webhooks-Signature-Settings", text)]),
    "signed query": lambda text: upgrade(query=text),
    "signed path": lambda text: upgrade(raw_path=f"/{text}"),
    "signed target": lambda text: upgrade(raw_path=text),
    "signed host": lambda text: upgrade(host=text, headers=headers_of(text)),
    "signed form": lambda text: hook(encoded(text), "application/x-www-form-urlencoded"),
    "signed JSON": lambda text: hook(encoded(text), "application/json", query=f"bodySHA256={text}"),
    "content type": lambda text: hook(b"", text),
    "handoff": handoff,
    "masking of speech": lambda text: Masker().speech(text),
    "masking of raw frames": lambda text: Masker().raw(text),
    "simulated speech": lambda text: (first_clause(text, closed=False, comma_at=40), heard_of(text, 500, 1_000)),
    "simulated listening": is_backchannel,
}


@contextmanager
def measured_alone() -> Iterator[None]:
    """Neither what is logged about hostile text nor the garbage of the tests before is what is measured."""
    logging.disable(logging.CRITICAL)
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        logging.disable(logging.NOTSET)


def cost(parser: Parser, text: str) -> float:
    """CPU seconds for `text`, from cold caches."""
    liquid._parsed.cache_clear()
    begun = time.process_time()
    with suppress(RelayError):
        parser(text)
    return time.process_time() - begun


def offences(parser: Parser) -> Iterator[str]:
    """The families that cost too much, in the best of several runs."""
    for family, make in FAMILIES.items():
        long_text, short_text = make(LARGE), make(SMALL)
        large = cost(parser, long_text)
        if large < TOO_QUICK_TO_COMPARE:
            continue
        small = cost(parser, short_text)
        for _ in range(MOST_RUNS if large < HOPELESS_SECONDS else 0):
            if large < TOO_QUICK_TO_COMPARE or (large <= MOST_SECONDS and large <= MOST_RATIO * small):
                break
            small, large = min(small, cost(parser, short_text)), min(large, cost(parser, long_text))
        else:
            yield f"{family}: {small * 1000:.1f} ms for 32 KiB, {large * 1000:.1f} ms for 64 KiB"


@pytest.mark.parametrize("name", PARSERS)
def test_time_is_in_proportion(name: str) -> None:
    with measured_alone():
        assert list(offences(PARSERS[name])) == []


def test_recordings_are_read_in_proportion(tmp_path: Path) -> None:
    with measured_alone():
        assert list(offences(lambda text: recording(text, tmp_path))) == []
