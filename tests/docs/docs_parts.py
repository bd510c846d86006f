"""The parts of the READMEs that are made from code: settings, hooks, messages, states, commands; writes no file.

The READMEs call these functions between cog marks. After a change of the code:

    uv run cog -r -I tests/docs README.md plugins/README.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from types import FunctionType
from typing import Any

from studio_relay import hookspecs
from studio_relay.protocol import messages, states
from studio_relay.settings import Limits, env_name, settings_table


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# ---------------------------------------------------------------------------------------------- settings


def settings() -> str:
    """Everyday settings."""
    limits = {env_name(name) for name in Limits.model_fields}
    return _settings(name for name in _names() if name not in limits)


def limits() -> str:
    """What one call, and the server as a whole, may use up."""
    return _settings(env_name(name) for name in Limits.model_fields)


def _names() -> list[str]:
    return [record.name for record in settings_table()]


def _settings(names: Iterable[str]) -> str:
    records = {record.name: record for record in settings_table()}
    rows = []
    for name in names:
        default = records[name].default
        rows.append((f"`{name}`", f"`{default}`" if default else "", records[name].help))
    return table(("Variable", "Default", "Meaning"), rows)


# ------------------------------------------------------------------------------------------------- hooks


def hook_names() -> list[str]:
    """Every hook, in the order of hookspecs.py."""
    return [name for name, thing in vars(hookspecs).items() if hasattr(thing, "studio_relay_spec")]


def signature(name: str) -> str:
    """A hook as one would write it: `on_prompt(call: Call, prompt: Prompt) -> Reply`."""
    function = getattr(hookspecs, name)
    return f"{name}{str(inspect.signature(function)).replace(chr(39), '')}"


def hook(name: str) -> str:
    """One hook's part of the reference: signature, when, arguments, what it may return, what happens if it fails."""
    spec: FunctionType = getattr(hookspecs, name)
    when, *paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(spec.__doc__ or ""))
    fields = [part for part in paragraphs if part.startswith(":")]
    prose = [" ".join(part.split()) for part in paragraphs if not part.startswith((":", ".."))]
    since = next(part.split("::")[1].strip() for part in paragraphs if part.startswith(".. versionadded"))
    arguments, returns = _fields(fields[0] if fields else "")
    annotations = spec.__annotations__
    rows = [(f"`{arg}`", f"`{annotations[arg]}`", text) for arg, text in arguments.items()]
    parts = [f"```python\ndef {signature(name)}: ...\n```", when]
    parts += [table(("Argument", "Type", "What it is"), rows)] if rows else []
    parts += [f"**Returns** {returns}", *prose, f"Since version {since}."]
    return "\n\n".join(parts)


def _fields(text: str) -> tuple[dict[str, str], str]:
    """The `:param name:` and `:returns:` entries of a docstring."""
    arguments: dict[str, str] = {}
    returns = ""
    for entry in re.split(r"^:", text, flags=re.MULTILINE)[1:]:
        what, _, meaning = entry.partition(":")
        meaning = " ".join(meaning.split())
        if what == "returns":
            returns = meaning
        else:
            arguments[what.removeprefix("param ")] = meaning
    return arguments, returns


# ---------------------------------------------------------------------------------------------- messages

_FROM_TWILIO: Mapping[str, type[messages.Message]] = {
    "setup": messages.Setup,
    "prompt": messages.Prompt,
    "dtmf": messages.Dtmf,
    "interrupt": messages.Interrupt,
    "info": messages.Info,
    "error": messages.ErrorMessage,
    "anything else": messages.Unknown,
}
_NOT_ON_THE_WIRE = {"type", "raw", "dialect", "code"}  # `code` is read out of the description


def messages_from_twilio() -> str:
    """What Twilio sends."""
    return _messages(_FROM_TWILIO, skip=_NOT_ON_THE_WIRE)


def messages_to_twilio() -> str:
    """What we send."""
    kinds = {str(kind.__struct_config__.tag): kind for kind in messages.Outgoing.__subclasses__()}
    return _messages(kinds, skip=set())


def message_names() -> list[str]:
    """Every `type` on the wire that is known by name."""
    ours = [str(kind.__struct_config__.tag) for kind in messages.Outgoing.__subclasses__()]
    return [*(name for name in _FROM_TWILIO if " " not in name), *ours]


def _messages(kinds: Mapping[str, type[Any]], *, skip: set[str]) -> str:
    rows = []
    for wire, kind in kinds.items():
        fields = ", ".join(f"`{_camel(name)}`" for name in kind.__struct_fields__ if name not in skip)
        name = f"`{wire}`" if " " not in wire else wire
        rows.append((name, fields, f"`{kind.__name__}`", " ".join((kind.__doc__ or "").split())))
    return table(("`type`", "Fields", "Class", "Meaning"), rows)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name.rstrip("_"))


# ------------------------------------------------------------------------------------------------ states


def generation() -> str:
    """What we do, as a Mermaid diagram of the table in states.py."""
    moves: dict[tuple[Enum, Enum], list[str]] = {}
    for (state, happened), outcomes in states.GENERATION.items():
        for outcome in outcomes:
            moves.setdefault((state, outcome), []).append(happened.value)
    return _diagram(states.State.AWAITING_SETUP, moves, final=states.State.ENDED)


def playback() -> str:
    """What the caller is presumed to hear, likewise."""
    moves: dict[tuple[Enum, Enum], list[str]] = {}
    for (state, sound), outcome in states.PLAYBACK.items():
        moves.setdefault((state, outcome), []).append(sound.value)
    return _diagram(states.Playing.UNKNOWN, moves)


def _diagram(first: Enum, moves: Mapping[tuple[Enum, Enum], list[str]], *, final: Enum | None = None) -> str:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.name}"]
    lines += [f"    {a.name} --> {b.name}: {'<br/>'.join(what)}" for (a, b), what in moves.items()]
    lines += [f"    {final.name} --> [*]"] if final else []
    return "\n".join([*lines, "```"])


# ---------------------------------------------------------------------------------------------- commands


def commands() -> str:
    """The help of every command there is."""
    return "\n\n".join(f"```text\n{text}\n```" for text in _helps())


def command_names() -> list[str]:
    """Every command, as it is typed: `plugins list`."""
    return [context.command_path.removeprefix("studio-relay ") for context in _contexts()]


def _helps() -> Iterator[str]:
    for context in _contexts():
        yield "\n".join(line.rstrip() for line in context.get_help().splitlines())


def _contexts() -> Iterator[Any]:
    """The click context of each command, made as a run makes it, a hundred columns wide."""
    import click

    from studio_relay.cli import program

    def below(context: click.Context) -> Iterator[click.Context]:
        group = context.command
        if not isinstance(group, click.Group):
            yield context
            return
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            yield from below(click.Context(command, context, name, **command.context_settings))

    wide = {"terminal_width": 100, "max_content_width": 100}
    yield from below(click.Context(program, info_name="studio-relay", **wide, **program.context_settings))
