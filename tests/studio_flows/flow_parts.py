"""What is made from the shipped flows: their redirect shapes, their diagrams, and parts of the guide.

The flows of shape `widget`, their maps, agents and scripts are written by hand. After a change of one of them:

    uv run python tests/studio_flows/flow_parts.py
    uv run cog -r -I tests/studio_flows studio_flows/README.md
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from studio_relay.studio.configure import Stage, configure
from studio_relay.studio.diagram import svg
from studio_relay.studio.document import read_document
from studio_relay.studio.flow import Flow, Widget, build_flow, load_flow
from studio_relay.studio.writing import write_atomically

FLOWS = Path(__file__).resolve().parents[2] / "studio_flows"
NAMES = tuple(sorted(path.name.removesuffix(".map.toml") for path in FLOWS.glob("*.map.toml")))
"""The flows that are shipped in both shapes."""
RELAY = "run-conversation-relay"


def redirect_shape(flow: Flow) -> str:
    """The text of the flow with each relay widget turned into a redirect to the voice URL of the same server."""
    document = flow.document
    for widget in relays(flow):
        definition = configure(build_flow(document), _as_redirect(widget))
        document = read_document(document.to_text(definition), name=document.name)
    return document.text


def relays(flow: Flow) -> list[Widget]:
    """The relay stages of a flow of shape `widget`."""
    return [widget for widget in flow.states.values() if widget.type == RELAY]


def _as_redirect(widget: Widget) -> Stage:
    """The same stage in shape `redirect`; the widget's language travels as a parameter."""
    url = urlsplit(widget.text("url"))
    return Stage(
        name=widget.name,
        shape="redirect",
        server=f"https://{url.netloc}",
        agent=url.path.removeprefix("/relay/"),
        parameters={"language": widget.text("language")},
    )


def generated(name: str) -> dict[Path, str]:
    """The files made from the flow `name`, with their texts."""
    flow = load_flow(FLOWS / f"{name}.json")
    return {FLOWS / f"{name}.redirect.json": redirect_shape(flow), FLOWS / f"{name}.svg": svg(flow)}


def script_paths(name: str) -> list[Path]:
    """The scripts of both shapes, then those that only a redirect can need."""
    folders = (FLOWS / "scripts" / name, FLOWS / "scripts" / f"{name}.redirect")
    return [path for folder in folders for path in sorted(folder.glob("*.yaml"))]


def scripts(name: str) -> str:
    """A table of the scripts of a flow: what the caller meets, as the first line of each says."""
    rows = ["", "| Script | What happens |", "| --- | --- |"]
    for path in script_paths(name):
        first = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        rows.append(f"| [`{path.name}`]({path.relative_to(FLOWS).as_posix()}) | {first} |")
    return "\n".join([*rows, "", ""])


if __name__ == "__main__":
    for name in NAMES:
        for path, text in generated(name).items():
            write_atomically(path, text)
