"""One static page about one run: its path lit on the diagram, the transcript, the timings; it runs nothing.

The page holds everything it shows, no script and no outside reference, so it can be kept as a build artefact.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from studio_relay.studio.diagram import Lit, svg
from studio_relay.studio.flow import Flow

_STYLE = """
  body { font: 15px/1.5 system-ui, sans-serif; color: #1b1f24; margin: 2rem auto; max-width: 76rem; padding: 0 1rem }
  h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
  table { border-collapse: collapse; width: 100% }
  td, th { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top }
  tr + tr td { border-top: 1px solid #d0d7de }
  .n { color: #57606a; white-space: nowrap; font-variant-numeric: tabular-nums }
  .ok { color: #1a7f37 } .no { color: #cf222e } .drawing { overflow: auto; border: 1px solid #d0d7de; max-height: 80vh }
  details { border-top: 1px solid #d0d7de; padding: .5rem 0 } summary { cursor: pointer; overflow-wrap: anywhere }
  .caller td { background: #f6f8fa } del { color: #8c959f } pre { overflow: auto; background: #f6f8fa; padding: .75rem }
"""


def run_page(flow: Flow, run: Mapping[str, Any]) -> str:
    """The page for a run in its JSON form (design, section 7); what the run does not hold is left out."""
    heading = f"<h1>{escape(flow.name)}: {verdict(bool(run.get('ok')))}</h1>"
    return page(flow.name, f"{heading}\n{run_part(flow, run)}")


def page(title: str, body: str) -> str:
    """A whole page around `body`, which is HTML."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def run_part(flow: Flow, run: Mapping[str, Any]) -> str:
    """What a page shows of one run, without its heading."""
    steps = [step for step in run.get("path", []) if isinstance(step, Mapping)]
    parts = [
        f"<p>{escape(_summary(run))}</p>",
        _expectations(run.get("expectations", [])),
        _section("Path", _table(("at", "widget", "event", "condition"), [_step(step) for step in steps])),
        _section("Transcript", _transcript(run.get("transcript", []))),
        _section("Sessions", _table(_SESSION, [_session(s) for s in run.get("sessions", [])])),
        _section("Handoff", _handoff(run.get("handoff"))),
        _section("Warnings", _table(("widget", "warning"), [_warning(w) for w in run.get("warnings", [])])),
        _section("Diagram", drawing(svg(flow, lit=_lit(flow, steps)))),
    ]
    return "\n".join(part for part in parts if part)


def drawing(image: str) -> str:
    """An SVG in a frame that scrolls."""
    return f'<div class="drawing">{image}</div>'


_SESSION = ("widget", "agent", "status", "close code", "duration")


def verdict(ok: bool) -> str:
    """The word for it, coloured."""
    return '<span class="ok">as expected</span>' if ok else '<span class="no">not as expected</span>'


def _summary(run: Mapping[str, Any]) -> str:
    timings = run.get("timings") or {}
    first = [f"{ms} ms" for ms in timings.get("first_word_ms", [])]
    pieces = [f"script {run['script']}" if run.get("script") else "", f"{timings.get('total_ms', 0)} ms in all"]
    pieces.append(f"first word after {', '.join(first)}" if first else "")
    silence = timings.get("longest_silence_ms")
    pieces.append(f"longest silence {silence} ms" if silence is not None else "")
    return "; ".join(piece for piece in pieces if piece)


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>\n{body}" if body else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    lines = ["".join(f"<td>{escape(_text(cell))}</td>" for cell in row) for row in rows]
    return f"<table><tr>{top}</tr>" + "".join(f"<tr>{line}</tr>" for line in lines) + "</table>"


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _step(step: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        f"{step.get('at_ms', 0)} ms",
        step.get("widget"),
        step.get("event", "(the caller hung up)"),
        step.get("condition"),
    )


def _session(session: Mapping[str, Any]) -> tuple[Any, ...]:
    duration = f"{session.get('duration_ms', 0)} ms"
    return session.get("widget"), session.get("agent"), session.get("status"), session.get("close_code"), duration


def _warning(warning: Any) -> tuple[Any, ...]:
    return (warning.get("widget"), warning.get("message")) if isinstance(warning, Mapping) else ("", warning)


def _transcript(turns: Iterable[Mapping[str, Any]]) -> str:
    rows = []
    for turn in turns:
        who, text = str(turn.get("who", "")), str(turn.get("text", ""))
        sent = str(turn.get("sent") or "")
        unheard = f" <del>{escape(sent[len(text) :])}</del>" if sent.startswith(text) and sent != text else ""
        at = f'<td class="n">{turn.get("at_ms", 0)} ms</td>'
        rows.append(
            f'<tr class="{escape(who)}">{at}<td class="n">{escape(who)}</td><td>{escape(text)}{unheard}</td></tr>'
        )
    return f"<table>{''.join(rows)}</table>" if rows else ""


def _expectations(checks: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for check in checks:
        mark = '<span class="ok">yes</span>' if check.get("ok") else '<span class="no">no</span>'
        found = "" if check.get("ok") else f"found {escape(_text(check.get('found')))}"
        line, expect = escape(_text(check.get("line"))), escape(_text(check.get("expect")))
        rows.append(f'<tr><td class="n">line {line}</td><td>{expect}</td><td>{mark}</td><td>{found}</td></tr>')
    return _section("Expectations", f"<table>{''.join(rows)}</table>" if rows else "")


def _handoff(handoff: Any) -> str:
    import json

    return "" if handoff is None else f"<pre>{escape(json.dumps(handoff, indent=2, ensure_ascii=False))}</pre>"


def _lit(flow: Flow, steps: Sequence[Mapping[str, Any]]) -> Lit:
    """The path on the drawing; a match is found again by its words."""
    edges = set()
    for step in steps:
        widget = flow.states.get(str(step.get("widget")))
        for t in widget.on(str(step.get("event", ""))) if widget else ():
            if "condition" not in step or " and ".join(map(str, t.conditions)) == step["condition"]:
                edges.add((str(step["widget"]), t.event, t.index))
    return Lit(widgets=frozenset(str(step.get("widget")) for step in steps), edges=frozenset(edges))
