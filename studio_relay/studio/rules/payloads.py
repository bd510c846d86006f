"""Texts that have to be JSON where they arrive: task attributes, request bodies, and what is put into them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from studio_relay.studio.diagnostics import Severity
from studio_relay.studio.liquid_text import is_readable, outputs, split_outputs
from studio_relay.studio.rules import Found, at, rule
from studio_relay.studio.rules.relay import CARD, SECRET
from studio_relay.studio.subject import Subject, TemplateUse, entries, is_json_variable, is_placeholder

MAX_ATTRIBUTES = 1_024
"""Characters of task attributes (documented for Flex and Enqueue)."""

_FREE_TEXT = re.compile(
    r"HandoffData|SpeechResult|TranscriptionText|\.Body\b|summary|\.body\b|voicemail_text|notes?\b|VirtualAgentProviderData",
    re.IGNORECASE,
)
_SAFE_FILTERS = re.compile(r"\|\s*(?:to_json|url_encode|escape|size)\b")
_LITERAL_SECRET = re.compile(r"(?:Basic|Bearer)\s+[A-Za-z0-9+/=_-]{16,}|sk-[A-Za-z0-9]{16,}|AKIA[0-9A-Z]{16}")


def _json_texts(subject: Subject) -> Iterator[TemplateUse]:
    """Properties that are read as JSON by whoever gets them; a template too large to be read is SR401's business."""
    for use in subject.texts:
        is_attributes = use.key in ("attributes", "task_attributes")
        content_type = use.widget.text("content_type").lower()
        is_body = use.widget.type == "make-http-request" and use.key == "body" and "json" in content_type
        if (is_attributes or is_body) and use.text.strip() and not is_placeholder(use.text) and is_readable(use.text):
            yield use


@rule("SR701", "JSON that is broken", severity="warning", impact=8)
def broken_json(subject: Subject) -> Iterator[Found]:
    """With every Liquid output replaced by a plain value the text is still not JSON, so it never arrives as such."""
    for use in _json_texts(subject):
        if "{%" in use.text:
            continue
        try:
            json.loads(_filled_in(use.text))
        except RecursionError:
            yield at(use.widget, use.place, "is nested too deeply to be JSON that anything reads")
        except ValueError as error:
            text = use.text.strip()
            if not (text.startswith("{{") and text.endswith("}}")):
                words = f"is not JSON once the Liquid is filled in: {str(error).split(':')[0]}"
                yield at(use.widget, use.place, words)


def _filled_in(text: str) -> str:
    """The text with `0` for outputs outside quotes, `x` within."""
    pieces, inside = [], False
    for piece in split_outputs(text):
        if piece.startswith("{{"):
            pieces.append("x" if inside else "0")
            continue
        inside ^= len(re.findall(r'(?<!\\)"', piece)) % 2 == 1
        pieces.append(piece)
    return "".join(pieces)


def _quoted_outputs(text: str) -> Iterator[str]:
    """Liquid outputs that stand inside quotes of the JSON text."""
    inside = False
    for piece in split_outputs(text):
        if piece.startswith("{{"):
            if inside:
                yield piece
        else:
            inside ^= len(re.findall(r'(?<!\\)"', piece)) % 2 == 1


@rule("SR702", "free text is put into JSON without to_json", severity="warning", impact=7)
def unsafe_text(subject: Subject) -> Iterator[Found]:
    """A quotation mark or a line end in what was said breaks the JSON: write `{{ x | to_json }}` without quotes."""
    for use in _json_texts(subject):
        for output in _quoted_outputs(use.text):
            if _FREE_TEXT.search(output) and not _SAFE_FILTERS.search(output):
                hint = (
                    f"Write {output.strip('{} ')!r} as {{{{ {output.strip('{} ')} | to_json }}}}, without the quotes."
                )
                yield at(use.widget, use.place, f"{output} may hold quotation marks, and stands in quotes", hint=hint)
        for output in _bare_outputs(use.text):
            if _FREE_TEXT.search(output) and not _SAFE_FILTERS.search(output) and "HandoffData" not in output:
                yield at(use.widget, use.place, f"{output} is a text without quotes", hint="Add `| to_json`.")


def _bare_outputs(text: str) -> list[str]:
    quoted = set(_quoted_outputs(text))
    return [output for output in outputs(text) if output not in quoted]


@rule("SR703", "to_json inside quotes", severity="warning", impact=7)
def quoted_to_json(subject: Subject) -> Iterator[Found]:
    """`to_json` writes its own quotation marks; two pairs are broken JSON."""
    for use in _json_texts(subject):
        for output in _quoted_outputs(use.text):
            if re.search(r"\|\s*to_json\b", output):
                yield at(use.widget, use.place, f"{output} stands in quotes", hint="Take the quotes around it away.")


@rule("SR704", "attributes beyond what Flex takes", severity="warning", impact=8)
def long_attributes(subject: Subject) -> Iterator[Found]:
    """Task attributes are at most 1,024 characters; a summary without a bound can exceed them, and the call is lost."""
    for use in _json_texts(subject):
        if use.key not in ("attributes", "task_attributes"):
            continue
        fixed = len("".join(split_outputs(use.text)[::2]))
        if fixed > MAX_ATTRIBUTES:
            words = f"has {fixed} characters before anything is filled in; {MAX_ATTRIBUTES} are taken"
            yield at(use.widget, use.place, words)
            continue
        unbounded = [output for output in outputs(use.text) if _is_unbounded(subject, output)]
        if unbounded:
            words = f"{unbounded[0]} has no bound, and {MAX_ATTRIBUTES} characters are taken in all"
            yield at(use.widget, use.place, words, hint="Add `| truncate: 600` before to_json.", severity="notice")


def _is_unbounded(subject: Subject, output: str) -> bool:
    if re.search(r"\|\s*(?:truncate|truncatewords|slice)\b", output):
        return False
    whole = re.search(r"flow\.variables\.([\w-]+)\s*(?:\||-?\}\})", output)
    is_object = whole is not None and any(
        is_json_variable(row)
        for widget in subject.variables.get(whole.group(1), ())
        for row in entries(widget, "variables")
        if row.get("key") == whole.group(1)
    )
    return is_object or re.search(r"HandoffData|SpeechResult|summary|TranscriptionText", output) is not None


@rule("SR705", "a credential in the flow", severity="warning", impact=2)
def credentials(subject: Subject) -> Iterator[Found]:
    """Flow definitions are readable by everybody with the account, and names and parameters are logged."""
    for use in subject.texts:
        if _LITERAL_SECRET.search(use.text) and "{{" not in use.text:
            yield at(use.widget, use.place, "holds what looks like a credential", hint="Keep it in the server.")
    for widget in subject.flow.states.values():
        if widget.type == "run-conversation-relay":
            continue
        for key in ("parameters", "stream_parameters"):
            for number, row in enumerate(entries(widget, key)):
                found = _sensitive(str(row.get("key", "")), str(row.get("value", "")))
                if found:
                    yield at(widget, f"properties/{key}/{number}", *found[:1], severity=found[1])


def _sensitive(key: str, value: str) -> tuple[str, Severity] | None:
    if SECRET.search(key) and value and "{{" not in value and not is_placeholder(value):
        return f"the parameter {key!r} looks like a credential", "warning"
    return (f"the parameter {key!r} looks like card data", "warning") if CARD.search(key) else None


@rule("SR706", "a reserved parameter name", severity="warning", impact=4)
def reserved_parameters(subject: Subject) -> Iterator[Found]:
    """Make HTTP Request refuses parameter names such as `method` (81014); the full list is not published."""
    for widget in subject.of_type("make-http-request"):
        for number, row in enumerate(entries(widget, "parameters")):
            if row.get("key") == "method":
                yield at(widget, f"properties/parameters/{number}/key", "'method' is a reserved name (81014)")
