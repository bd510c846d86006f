"""`studio-relay flow diagram`: a drawing of a flow; how it is drawn is in `studio_relay.studio.diagram`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from studio_relay.cli.flow.options import FILE, flow_argument, select_option

if TYPE_CHECKING:
    from studio_relay.studio.flow import Flow

_BY_SUFFIX = {".svg": "svg", ".mmd": "mermaid", ".mermaid": "mermaid", ".md": "mermaid"}


@click.command("diagram")
@flow_argument
@click.option("--format", "form", type=click.Choice(["svg", "mermaid"]), help="[default: by the file's name, else svg]")
@click.option(
    "--layout",
    type=click.Choice(["layered", "canvas"]),
    help="For SVG: in layers from the trigger down, or as on Studio's canvas.  [default: layered]",
)
@click.option("-o", "--output", type=FILE, metavar="FILE", help="Write it there.  [default: standard output]")
@select_option
def command(
    flow_path: Path,
    form: str | None,
    layout: Literal["layered", "canvas"] | None,
    output: Path | None,
    select: str | None,
) -> None:
    """Draw a flow as SVG or Mermaid.

    The SVG needs nothing else to be shown and names each line when the pointer rests on it. Mermaid text can be
    pasted where Markdown is read; in a file called .md it stands in a fence.
    """
    from studio_relay.cli.flow.files import write_result
    from studio_relay.studio.flow import load_flow

    wanted = form or (_BY_SUFFIX.get(output.suffix.lower(), "svg") if output else "svg")
    if wanted == "mermaid" and layout:
        raise click.UsageError("--layout is for SVG: whoever shows Mermaid text places the boxes")
    text = _drawn(load_flow(flow_path, select=select), wanted, layout or "layered")
    if output is None:
        click.echo(text, nl=False)
        return
    fenced = wanted == "mermaid" and output.suffix.lower() == ".md"
    write_result(output, f"```mermaid\n{text}```\n" if fenced else text, inputs=[flow_path])
    click.echo(f"wrote {output}")


def _drawn(flow: Flow, form: str, layout: Literal["layered", "canvas"]) -> str:
    from studio_relay.studio.diagram import mermaid, svg

    return mermaid(flow) if form == "mermaid" else svg(flow, layout=layout)
