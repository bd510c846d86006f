"""Hooks that watch: one plugin's view of one call, in order, apart from the call and from other plugins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from studio_relay.blame import log_failure
from studio_relay.call import Call, SessionEnd
from studio_relay.errors import PluginError
from studio_relay.hooks import abandon, call_hook, is_text_stream, within
from studio_relay.plugins import Hook, Plugin
from studio_relay.story import Story

log = logging.getLogger(__name__)

_FAILURES_ALLOWED = 3


class Watcher:
    """Calls the watching hooks of `plugin` for one call, each within `seconds`, one after the other.

    An extension (`set_aside`) that failed three times is left out for the rest of the call.
    """

    __slots__ = ("_failures", "_limit", "_overflowed", "_queue", "_seconds", "_story", "_task", "plugin")

    def __init__(self, plugin: Plugin, *, seconds: float, limit: int, story: Story) -> None:
        self.plugin = plugin
        self._story = story
        self._seconds = seconds
        self._limit = limit
        self._queue: list[tuple[Hook, Mapping[str, Any]]] = []
        self._task: asyncio.Task[None] | None = None
        self._failures = 0
        self._overflowed = False

    def watch(self, name: str, arguments: Mapping[str, Any]) -> None:
        """Call the hook `name`, if the plugin has it, when the hooks before it are done."""
        hook = self.plugin.hooks.get(name)
        if hook is None or self._is_set_aside():
            return
        if len(self._queue) >= self._limit:
            self._overflow(hook)
            return
        self._queue.append((hook, arguments))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work(), name=f"studio-relay {self.plugin.name}")

    def _overflow(self, hook: Hook) -> None:
        """Named once until the plugin has caught up: what floods a hook must not flood the log."""
        if not self._overflowed:
            self._overflowed = True
            self._failed(hook, PluginError(f"{hook}: {self._limit} events wait for it already; more are left out"))

    async def finish(self, seconds: float) -> None:
        """Give the hooks that wait `seconds` to be done, then drop them."""
        if self._task is None:
            return
        await asyncio.wait({self._task}, timeout=seconds)
        self._queue.clear()
        if self._task is not None:
            abandon(self._task)

    async def call(self, name: str, arguments: Mapping[str, Any], seconds: float) -> None:
        """Call one hook now and wait for it; what goes wrong is logged."""
        hook = self.plugin.hooks.get(name)
        if hook is not None:
            await self._call(hook, arguments, seconds)

    async def _work(self) -> None:
        try:
            while self._queue and not self._is_set_aside():
                hook, arguments = self._queue.pop(0)
                await self._call(hook, arguments, self._seconds)
        finally:
            self._task = None
            self._overflowed = False

    async def _call(self, hook: Hook, arguments: Mapping[str, Any], seconds: float) -> None:
        try:
            result = await within(seconds, call_hook(hook, arguments), name=f"studio-relay {hook}", hook=hook)
            if self.plugin.kind == "extension" and (is_text_stream(result) or isinstance(result, str)):
                raise PluginError(f"{hook}: an extension watches, what it returns is not spoken; return None")
        except Exception as error:
            self._failed(hook, error)

    def _failed(self, hook: Hook, error: Exception) -> None:
        self._failures += 1
        self._story.hook_failed(*log_failure(hook, error))
        if self._failures == _FAILURES_ALLOWED and self.plugin.kind == "extension":
            log.warning("extension %s failed three times and is left out for the rest of this call", self.plugin.name)

    def _is_set_aside(self) -> bool:
        return self.plugin.kind == "extension" and self._failures >= _FAILURES_ALLOWED


@dataclass(frozen=True)
class Audience:
    """All who watch one call: the extensions in their order, then the agent."""

    watchers: tuple[Watcher, ...] = ()

    @cached_property
    def _extensions(self) -> tuple[Watcher, ...]:
        return tuple(watcher for watcher in self.watchers if watcher.plugin.kind == "extension")

    def all(self, name: str, **arguments: Any) -> None:
        """Call the hook `name` of everybody."""
        for watcher in self.watchers:
            watcher.watch(name, arguments)

    def extensions(self, name: str, **arguments: Any) -> None:
        """Call the hook `name` of the extensions: the agent answers it, they watch."""
        for watcher in self._extensions:
            watcher.watch(name, arguments)

    async def say_goodbye(self, call: Call, end: SessionEnd, seconds: float) -> None:
        """Let the hooks that wait come to their end, then call on_end of everybody; `seconds` for each of the two."""
        await asyncio.gather(*(watcher.finish(seconds) for watcher in self.watchers))
        arguments = {"call": call, "end": end}
        await asyncio.gather(*(watcher.call("on_end", arguments, seconds) for watcher in self.watchers))
