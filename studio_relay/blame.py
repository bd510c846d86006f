"""Who is at fault when a hook fails, and where in its code; tells it in the log, and calls no hook.

A stranger's exception may hold a caller's words, so its text is for level debug. What is told is its type and one
place: the last frame in the plugin's own package. The last frame of all is often in a library or in this package, and
says nothing to whoever wrote the plugin.
"""

from __future__ import annotations

import inspect
import logging
import sys
import sysconfig
import traceback
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from traceback import FrameSummary

from studio_relay.errors import PluginError, RelayError
from studio_relay.plugins import Hook, Plugins

log = logging.getLogger(__name__)

_PACKAGE = PurePath(__file__).parent
_LIBRARIES = ("site-packages", "dist-packages")
_STANDARD = PurePath(sysconfig.get_path("stdlib"))


def contained(hook: Hook, error: BaseException) -> Exception:
    """`error` as it may leave a task: KeyboardInterrupt and its like would end the loop, and every call with it."""
    if isinstance(error, Exception):
        return error
    did = "called sys.exit()" if isinstance(error, SystemExit) else f"raised {type(error).__name__}"
    failure = PluginError(f"{hook} {did}", plugin=hook.plugin, hook=hook.name)
    failure.__cause__ = error
    return failure


def log_failure(hook: Hook, error: BaseException, when: str = "") -> tuple[str, str]:
    """Name the plugin whose hook failed, and return its name and the hook's."""
    blamed = (error.plugin, error.hook) if isinstance(error, PluginError) and error.plugin else (hook.plugin, hook.name)
    log.error("plugin %s failed in %s%s: %s", *blamed, when, _told(hook, error))
    log.debug("the failure of plugin %s in full", blamed[0], exc_info=error)
    return blamed


def log_overstay(hook: Hook, why: str) -> None:
    """Name the plugin whose hook was cancelled and did not end."""
    log.warning("plugin %s: %s %s", hook.plugin, hook.name, why, extra={"repeats": f"{hook} {why}"})


def _told(hook: Hook, error: BaseException) -> str:
    place = place_of(origin_of(error), own_code(hook))
    if not _is_ours(error):
        return f"{_kind(error)} {place}"
    return f"{error} {place}" if _has_frames_outside(origin_of(error)) else str(error)


def _kind(error: BaseException) -> str:
    if isinstance(error, BaseExceptionGroup):
        return f"{type(error).__name__} of {', '.join(sorted({_kind(each) for each in error.exceptions}))}"
    return type(error).__name__


def origin_of(error: BaseException) -> BaseException:
    """What was raised first, where we or a task group have wrapped it."""
    while True:
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif isinstance(error, PluginError) and error.__cause__ is not None:
            error = error.__cause__
        else:
            return error


def _is_ours(error: BaseException) -> bool:
    """Whether it was raised in this package, whose messages hold no word of a caller."""
    frames = traceback.extract_tb(error.__traceback__)
    return isinstance(error, RelayError) and (not frames or PurePath(frames[-1].filename).is_relative_to(_PACKAGE))


def _has_frames_outside(error: BaseException) -> bool:
    return any(not _is_in(frame, [_PACKAGE]) for frame in traceback.extract_tb(error.__traceback__))


def place_of(error: BaseException, own: Sequence[PurePath] = ()) -> str:
    """Where an error was raised, in `own` code if it came from there: file, line and function; not what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "(set STUDIO_RELAY_LOG_LEVEL=debug for its words)"
    last = next(_best_first(frames, own))
    return f"at {PurePath(last.filename).name}:{last.lineno} in {last.name} (log level debug shows its words)"


def _best_first(frames: Sequence[FrameSummary], own: Sequence[PurePath]) -> Iterator[FrameSummary]:
    for root in own:
        yield from (frame for frame in reversed(frames) if _is_in(frame, [root]))
    if own:
        yield from (frame for frame in reversed(frames) if not _is_library(frame))
    yield frames[-1]


def _is_in(frame: FrameSummary, roots: Sequence[PurePath]) -> bool:
    return any(PurePath(frame.filename).is_relative_to(root) for root in roots)


def _is_library(frame: FrameSummary) -> bool:
    path = PurePath(frame.filename)
    return (
        frame.filename.startswith("<frozen")
        or any(part in _LIBRARIES for part in path.parts)
        or path.is_relative_to(_STANDARD)
        or path.is_relative_to(_PACKAGE)
    )


def own_code(hook: Hook) -> list[PurePath]:
    """The files and folders of the plugin: of the class of its object first, then of the function itself."""
    function = hook.function
    owner = getattr(function, "__self__", None)
    names = [getattr(type(owner), "__module__", None)] if owner is not None else []
    names.append(getattr(inspect.unwrap(function), "__module__", None))
    return list(dict.fromkeys(root for name in names if isinstance(name, str) and (root := root_of(name))))


def code_of(plugins: Plugins) -> set[PurePath]:
    """The files and folders of all plugins that do not come with this package."""
    found = [plugin for plugin in (*plugins.agents.values(), *plugins.extensions) if not plugin.built_in]
    return {root for plugin in found for hook in plugin.hooks.values() for root in own_code(hook)}


def root_of(module: str) -> PurePath | None:
    """The folder of the package that a module belongs to, or its file. Of this package: the file alone."""
    parts = module.split(".")
    first = len(parts) if parts[0] == __name__.split(".")[0] else 1
    for length in range(first, len(parts) + 1):
        found = sys.modules.get(".".join(parts[:length]))
        file = getattr(found, "__file__", None)
        if isinstance(file, str):
            return PurePath(file).parent if hasattr(found, "__path__") and first == 1 else PurePath(file)
    return None
