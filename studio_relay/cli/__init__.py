"""The command line: which commands there are and how one begins and ends. Each command is a module of its own.

Nothing but click is imported before a command runs, and a command's module only when it is asked for: people type
`studio-relay` all day.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from studio_relay import __version__

COMMANDS: Mapping[str, str] = {
    "demo": "demo",
    "serve": "serve",
    "call": "call",
    "twiml": "twiml",
    "replay": "replay",
    "doctor": "doctor",
    "plugins": "plugins",
    "conformance": "conformance",
    "flow": "flow",
    "number": "number",
}
"""Each command's module within this package; the module's `command` is the command."""


class LazyGroup(click.Group):
    """Commands by name; `modules` says where each one is, and is looked into when it is needed."""

    def __init__(self, *arguments: Any, modules: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._modules = modules

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command called so, now imported."""
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(f"{__name__}.{self._modules[cmd_name]}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begin with; an unknown one is refused with the name that was meant."""
        name = args[0]
        if name not in self._modules and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, self._modules, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(self._modules)}."
            raise click.UsageError(f"No such command {name!r}. {hint}", ctx)
        return super().resolve_command(ctx, args)


class Program(LazyGroup):
    """The whole program: whatever a command raises becomes one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        from studio_relay.cli.errors import readable_errors

        with readable_errors():
            return super().invoke(ctx)


@click.command(cls=Program, modules=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="studio-relay")
def program() -> None:
    """The server, SDK and toolbox behind Twilio Studio's ConversationRelay widget.

    Begin with `studio-relay demo`: a whole call on this machine, without account, key, phone or network.
    """


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character shows ? instead
    program(prog_name="studio-relay")
