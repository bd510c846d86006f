"""What can be told without asking anybody: settings, secrets, plugins, store, recordings, limits."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from studio_relay.errors import PluginError, StoreError, TwimlError
from studio_relay.plugins import Plugins
from studio_relay.server.deployment import several_processes_warning
from studio_relay.server.doctor.finding import Finding, fail, ok, warn
from studio_relay.server.layers import layers, resolve, server_layer
from studio_relay.settings import Settings, is_loopback_host, unknown_names
from studio_relay.store import open_store

_PROBE = "doctor-probe"
_REPLAYED_EVENTS = 500  # what Twilio's reconnect buffer holds, as two projects report; unverified here
_FILES_BESIDE_CALLS = 100


async def look_here(settings: Settings, plugins: Plugins) -> AsyncIterator[Finding]:
    """Everything on this machine."""
    for finding in (*_settings(settings, plugins), *_secrets(settings), *_plugins(settings, plugins)):
        yield finding
    for finding in _twiml(settings, plugins):
        yield finding
    yield await _store(settings)
    for finding in (*_recordings(settings), *_limits(settings)):
        yield finding


def _settings(settings: Settings, plugins: Plugins) -> Iterator[Finding]:
    names = [*plugins.agents, *(extension.name for extension in plugins.extensions)]
    strange = unknown_names(plugins=names)
    for name, meant in strange:
        yield warn("settings", f"nobody reads {name}", f"did you mean {meant}?" if meant else "remove it")
    if not strange:
        yield ok("settings", "each one is known and within its range")
    if settings.insecure and settings.public_url:
        yield fail(
            "settings",
            "STUDIO_RELAY_INSECURE serves this machine only, so Twilio's requests are refused",
            "take it away where there is a STUDIO_RELAY_PUBLIC_URL",
        )
    if settings.public_url:
        yield from _public_url(settings.public_url)


def _public_url(public_url: str) -> Iterator[Finding]:
    parts = urlsplit(public_url)
    if is_loopback_host(parts.hostname or ""):
        yield fail(
            "public URL",
            f"{parts.hostname} is this machine; Twilio cannot reach it",
            "set STUDIO_RELAY_PUBLIC_URL to the address of your proxy or tunnel",
        )
    if re.search(r"/(relay|voice)$", parts.path):
        yield warn(
            "public URL",
            f"it ends in {parts.path.rpartition('/')[2]}, which we add ourselves",
            "end STUDIO_RELAY_PUBLIC_URL before it, unless your proxy really has such a prefix",
        )


def _secrets(settings: Settings) -> Iterator[Finding]:
    tokens = settings.signing_tokens
    if not tokens:
        yield warn("auth token", "none, since unsigned requests are served", "set TWILIO_AUTH_TOKEN before you go live")
    for place, token in enumerate(tokens):
        name = "TWILIO_AUTH_TOKEN" if settings.auth_token and place == 0 else "STUDIO_RELAY_AUTH_TOKENS"
        yield _token(name, token)
    if settings.account_sid is None:
        yield warn(
            "account",
            "TWILIO_ACCOUNT_SID is not set, so a session may name any account",
            "set it: sessions of other accounts are refused then",
        )
    else:
        yield ok("account", "sessions of any other account are refused")


def _token(name: str, token: str) -> Finding:
    if re.fullmatch(r"(AC|SK)[0-9a-fA-F]{32}", token):
        return fail(
            "auth token", f"{name} holds a SID, which is no secret", "copy the auth token from Twilio's console"
        )
    if not re.fullmatch(r"[0-9a-f]{32}", token):
        return warn(
            "auth token",
            f"{name} is not 32 hexadecimal digits, as Twilio's are",
            "copy the account's primary auth token again; an API secret signs no webhook",
        )
    return ok("auth token", f"{name} is there and has the right shape")


def _plugins(settings: Settings, plugins: Plugins) -> Iterator[Finding]:
    for failure in plugins.failures:
        yield fail("plugins", f"{failure.name} of {failure.package} could not be loaded: {failure.reason}",
                   "repair or uninstall it; `studio-relay plugins list` shows all")  # fmt: skip
    for plugin in (*plugins.agents.values(), *plugins.extensions):
        for warning in plugin.warnings:
            yield warn("plugins", f"{plugin.name}: {warning}", "see the hook reference for names and arguments")
    try:
        agent = plugins.default_agent(settings.agent)
    except PluginError as error:
        yield fail("agent", str(error), "set STUDIO_RELAY_AGENT to one that `studio-relay plugins list` shows")
        return
    if agent.name == "echo" and settings.agent is None:
        yield warn("agent", "none is installed: the built-in echo repeats what callers say", "pip install an agent")
    else:
        yield ok("agent", f"{agent.name} answers")


def _twiml(settings: Settings, plugins: Plugins) -> Iterator[Finding]:
    """Whether Twilio would take what /voice answers, for each agent that may answer."""
    base = settings.public_url or "https://relay.example.com"
    problems: dict[str, Finding] = {}
    for agent in plugins.agents.values():
        try:
            warnings = resolve(server_layer(base, agent.name), *layers(settings.twiml, agent)).warnings
            found = [warn("TwiML", warning, "`studio-relay twiml` shows each value's origin") for warning in warnings]
        except TwimlError as error:
            advice = "until it is right, calls get TwiML with the defaults alone"
            found = [fail("TwiML", line, advice) for line in str(error).splitlines()]
        problems |= {finding.what: finding for finding in found}
    yield from problems.values() or [ok("TwiML", "Twilio would take every attribute that is set")]


# --- store and recordings ---------------------------------------------------------------------------------


async def _store(settings: Settings) -> Finding:
    kind = settings.store_url.partition(":")[0]
    try:
        store = open_store(settings.store_url)
        try:
            await store.put(_PROBE, {"probe": 1}, 60)
            found = await store.get(_PROBE)
            await store.delete(_PROBE)
        finally:
            await store.close()
    except StoreError as error:
        return fail("store", str(error), "until then a dropped socket loses its conversation")
    if found != {"probe": 1}:
        return fail("store", f"{kind} does not give back what was put", "use another file for STUDIO_RELAY_STORE_URL")
    if kind == "memory":
        several = several_processes_warning(settings, os.environ, ())
        if several is not None:
            what, _, advice = several.partition(". ")
            return warn("store", what, advice)
        return _memory_store(settings)
    return ok("store", f"{kind} can be read and written")


def _memory_store(settings: Settings) -> Finding:
    if settings.public_url is None:
        return ok("store", "memory: a conversation ends with the process")
    return warn(
        "store",
        "memory: a restart or a second process loses the conversation of a live call",
        "set STUDIO_RELAY_STORE_URL=sqlite:///PATH if callers' words may be on that disk for up to 4 h",
    )


def _recordings(settings: Settings) -> Iterator[Finding]:
    folder = settings.record_dir
    if folder is None:
        yield ok("recordings", "none are made")
        return
    fault = _cannot_write(folder)
    if fault:
        yield fail("recordings", f"{folder}: {fault}", "make it writable for the server's user; calls go on without")
        return
    if settings.record_full:
        yield warn("recordings", "numbers, names and keys are recorded as they are", "drop STUDIO_RELAY_RECORD_FULL")
    if folder.exists() and stat.S_IMODE(folder.stat().st_mode) & 0o007:
        yield warn("recordings", f"every user of this machine can look into {folder}", f"chmod 750 {folder}")
    else:
        yield ok("recordings", f"{folder} can be written")


def _cannot_write(folder: Path) -> str | None:
    """Why no file can be made in `folder`, or in what it would be made in; None when one can."""
    nearest = next((parent for parent in (folder, *folder.absolute().parents) if parent.exists()), folder)
    if not nearest.is_dir():
        return "not a folder"
    try:
        with tempfile.TemporaryFile(dir=nearest):
            return None
    except OSError as error:
        return (error.strerror or str(error)).lower()


# --- limits -----------------------------------------------------------------------------------------------


def _limits(settings: Settings) -> Iterator[Finding]:
    """Where our settings meet what Twilio or this machine allows."""
    found = [*_of_twilio(settings), *_of_this_machine(settings)]
    yield from found
    if not found:
        yield ok("limits", "none of ours is at odds with Twilio's or this machine's")


def _of_twilio(settings: Settings) -> Iterator[Finding]:
    if settings.max_frames_burst < _REPLAYED_EVENTS:
        yield warn(
            "limits",
            f"STUDIO_RELAY_MAX_FRAMES_BURST is {settings.max_frames_burst}; a reconnect may replay {_REPLAYED_EVENTS}",
            f"set it to {2 * _REPLAYED_EVENTS}, or reconnected calls are closed for flooding",
        )
    if settings.hook_timeout_seconds > 10:
        yield warn(
            "limits",
            f"an agent may be silent for {settings.hook_timeout_seconds:g} s before the apology",
            "set STUDIO_RELAY_HOOK_TIMEOUT_SECONDS to 10 or less: callers hang up in silence",
        )
    if settings.max_reconnects > 2:
        yield warn(
            "limits",
            f"a call may be reconnected {settings.max_reconnects} times",
            "set STUDIO_RELAY_MAX_RECONNECTS to 2: an outage that lasts is better met with a person",
        )
    if settings.require_ticket:
        yield warn(
            "limits",
            "sessions of Studio's widget are refused, since it brings no ticket",
            "keep STUDIO_RELAY_REQUIRE_TICKET only if every call begins with our own TwiML",
        )


def _of_this_machine(settings: Settings) -> Iterator[Finding]:
    files = _open_files()
    wanted = settings.max_calls + _FILES_BESIDE_CALLS
    if files is not None and files < wanted:
        yield warn(
            "limits",
            f"this process may open {files} files, and {settings.max_calls} calls need {wanted}",
            f"raise it (`ulimit -n {2 * wanted}`, LimitNOFILE= in systemd), or lower STUDIO_RELAY_MAX_CALLS",
        )


def _open_files() -> int | None:
    """How many files a process like this one may open; None where that is not known, or without a bound."""
    if os.name != "posix":
        return None
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft
