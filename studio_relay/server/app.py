"""The Quart application: routes, who may connect, and the life of the process. Speaks no protocol itself."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from quart import Quart, Response, has_websocket_context, request, websocket
from werkzeug.exceptions import HTTPException

from studio_relay.blame import code_of, log_failure, place_of
from studio_relay.dispatch import Dispatcher
from studio_relay.errors import PluginError, RelayError, SignatureError
from studio_relay.hooks import call_hook, guard_tasks, within
from studio_relay.log import adopt, shown
from studio_relay.plugins import Plugin, Plugins, load_plugins
from studio_relay.recording import Recorder, SessionRecording
from studio_relay.registry import Registry
from studio_relay.server import loop_failures
from studio_relay.server.callbacks import add_callback_routes
from studio_relay.server.connection import Connection
from studio_relay.server.foreign_host import settle_in
from studio_relay.server.insecure import address_refusal, insecure_refusal
from studio_relay.server.scraping import add_metrics_route, observer_for
from studio_relay.server.signature import SignedRequest, check_upgrade
from studio_relay.server.tickets import Tickets
from studio_relay.server.voice import add_voice_routes
from studio_relay.server.webhook import MAX_BODY_BYTES
from studio_relay.server.websocket import SCOPE_KEY, RelayConnection, Socket
from studio_relay.settings import Settings, load_settings
from studio_relay.store import SessionStore, open_store
from studio_relay.watchdog import Watchdog

log = logging.getLogger(__name__)

_LAST_SECONDS = 0.5  # for what stopping takes besides the hooks


class RelayApp(Quart):
    """Quart with our WebSocket class; errors of ours are told by whoever starts the app, without a traceback."""

    asgi_websocket_class = RelayConnection

    def log_exception(self, exception_info: Any) -> None:
        """A fault of ours: where it is. What it says may hold a caller's number, so that is for level debug."""
        error = exception_info[1]
        if not isinstance(error, RelayError):
            log.error("a request failed: %s %s", type(error).__name__, place_of(error))
            log.debug("the failure in full", exc_info=error)


class Relay:
    """The relay of one process, behind the routes: settings, plugins, live calls, and whether it takes more."""

    def __init__(self, settings: Settings, plugins: Plugins, store: SessionStore) -> None:
        self.settings = settings
        self.plugins = plugins
        self.store = store
        self.registry = Registry(account_sid=settings.account_sid)
        self.draining = False
        self.is_ours = False  # the host: it drains by itself, and handles signals
        self.leaves_by: float | None = None  # when the process must be gone, in loop time, once it drains
        self.unsorted: set[tuple[str, tuple[str, ...]]] = set()  # voice URLs that were told of
        self.tickets = Tickets(settings.signing_tokens, store, required=settings.require_ticket)
        self.observer = observer_for(settings)
        self.desk = Dispatcher(
            plugins=plugins,
            settings=settings.plugin_view(),
            store=store,
            default_agent=plugins.default_agent(settings.agent),
            observer=self.observer,
        )
        self._watchdog: Watchdog | None = None
        self.recorder = _recorder(settings)

    @property
    def ready(self) -> bool:
        """Whether another call would be taken."""
        return not self.draining and len(self.registry) < self.settings.max_calls

    async def start(self) -> None:
        """Run on_startup of every plugin. Raises PluginError naming the one that fails."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(loop_failures.log_failure)
        guard_tasks(loop)
        if not self.is_ours:
            settle_in(self)
        self._watchdog = Watchdog()
        self._watchdog.start()
        self._report()
        try:
            for plugin in self._all_plugins():
                await self._run(plugin, "on_startup", settings=self.desk.settings)
        except PluginError:
            self._watchdog.stop()
            raise

    async def stop(self) -> None:
        """Run on_shutdown of every plugin and let go of the store."""
        self.draining = True
        for plugin in self._all_plugins():
            try:
                await self._run(plugin, "on_shutdown")
            except PluginError as error:
                log.error("%s", error)
        if self.recorder is not None:
            await self.recorder.close()
        await self.store.close()
        if self._watchdog is not None:
            self._watchdog.stop()

    def recording(self, scope: Any) -> SessionRecording | None:
        """The recording of a socket that is being accepted, if recordings are made."""
        if self.recorder is None:
            return None
        return self.recorder.open_session(SignedRequest.from_scope(scope).headers, path=scope["path"])

    def refusal(self, scope: Any) -> tuple[int, str] | None:
        """Why an upgrade is not accepted: the HTTP status and the operator's words; None when it is."""
        request = SignedRequest.from_scope(scope)
        reason = self._signature_refusal(request)
        if reason is not None:
            return 403, reason
        if not self.ready:
            return 503, "the server is draining" if self.draining else f"{len(self.registry)} calls are live, the limit"
        return None

    def _signature_refusal(self, request: SignedRequest) -> str | None:
        settings = self.settings
        if settings.insecure:
            return insecure_refusal(request.peer, request.host, request.headers)
        if settings.public_url is None and (refusal := address_refusal(request.peer, request.server)):
            return refusal
        try:
            matched = check_upgrade(
                request,
                tokens=settings.signing_tokens,
                public_url=settings.public_url,
                trusted_proxies=settings.trusted_proxies,
                shared_keys={name: key.get_secret_value() for name, key in settings.shared_keys.items()},
            )
        except SignatureError as error:
            return str(error)
        if matched.form == "B":
            log.info("the upgrade was signed without its query, whose fields were appended (form B)")
        if matched.token_index:
            log.info("the upgrade was signed with token %d of STUDIO_RELAY_AUTH_TOKENS", matched.token_index)
        return None

    def _all_plugins(self) -> tuple[Plugin, ...]:
        return (*self.plugins.extensions, *self.plugins.agents.values())

    def _patience(self) -> float:
        """How long a hook may take: on_shutdown must not cost the deadline of the whole process."""
        seconds = self.settings.hook_timeout_seconds
        if self.leaves_by is None:
            return seconds
        left = self.leaves_by - asyncio.get_running_loop().time() - _LAST_SECONDS
        return min(seconds, max(left, _LAST_SECONDS))

    async def _run(self, plugin: Plugin, name: str, **arguments: Any) -> None:
        hook = plugin.hooks.get(name)
        if hook is None:
            return
        try:
            await within(self._patience(), call_hook(hook, arguments), name=f"studio-relay {hook}", hook=hook)
        except Exception as error:
            log_failure(hook, error)
            raise PluginError(f"plugin {plugin.name} failed in {name}: {type(error).__name__}: {error}") from error

    def _report(self) -> None:
        for failure in self.plugins.failures:
            log.error("%s %s (%s) could not be loaded: %s", failure.kind, failure.name, failure.package, failure.reason)
        for plugin in self._all_plugins():
            for warning in plugin.warnings:
                log.warning("plugin %s: %s", plugin.name, warning)
        if self.desk.default_agent.name == "echo" and self.settings.agent is None:
            log.warning("no agent is installed: the built-in echo answers; pip install one, or write one")


def _recorder(settings: Settings) -> Recorder | None:
    if settings.record_dir is None:
        return None
    return Recorder(settings.record_dir, full=settings.record_full, clock=lambda: asyncio.get_running_loop().time())


def create_app(
    settings: Settings | None = None, plugins: Plugins | None = None, *, store: SessionStore | None = None
) -> Quart:
    """The application for any ASGI host.

    Raises SettingsError, PluginError or StoreError, in one line each, when it cannot be made as asked.
    """
    settings = settings or load_settings()
    plugins = plugins or load_plugins()
    adopt(code_of(plugins))
    relay = Relay(settings, plugins, store or open_store(settings.store_url))
    app = RelayApp("studio_relay")
    app.extensions["studio_relay"] = relay
    app.before_serving(relay.start)
    app.after_serving(relay.stop)
    _add_routes(app, relay)
    return app


def _add_routes(app: Quart, relay: Relay) -> None:
    async def serve(agent: str | None = None) -> Response | None:
        return await serve_socket(relay, agent)

    async def root() -> Response:
        return Response("ok\n", mimetype="text/plain")

    async def health() -> dict[str, Any]:
        return {"ok": True}

    async def ready() -> tuple[dict[str, Any], int]:
        return {
            "ok": relay.ready,
            "draining": relay.draining,
            "calls": len(relay.registry),
        }, 200 if relay.ready else 503

    async def stray(error: HTTPException) -> HTTPException:
        _tell_of_stray(relay, error)
        return error

    app.register_error_handler(HTTPException, stray)
    app.add_websocket("/relay", "relay", serve)
    app.add_websocket("/relay/<agent>", "relay_agent", serve)
    app.add_url_rule("/", "root", root)  # load balancers ask for it unless they are told otherwise
    app.add_url_rule("/health", "health", health)
    app.add_url_rule("/ready", "ready", ready)
    add_voice_routes(app, relay)
    add_callback_routes(app, relay)
    add_metrics_route(app, relay.observer, relay.settings)


async def serve_socket(relay: Relay, agent_name: str | None) -> Response | None:
    """Serve one upgrade; a response means that it is refused, before accept."""
    scope: Any = websocket.scope
    socket: Socket = scope[SCOPE_KEY]
    refused = relay.refusal(scope)
    agent = relay.plugins.agent(agent_name) if agent_name else None
    if refused is None and agent_name and agent is None:
        refused = 404, relay.plugins.absence(agent_name)
    if refused is not None:
        status, reason = refused
        relay.observer.refused(status, "draining" if relay.draining and status == 503 else _REFUSALS[status])
        log.warning("upgrade of %s refused with %d: %s", shown(scope["path"]), status, reason, extra=_alike(reason))
        return Response(_PUBLIC_REASONS[status], status)
    recording = relay.recording(scope)
    connection = Connection(socket, relay.desk, relay.registry, agent=agent, tickets=relay.tickets, recording=recording)
    socket.serve = connection.run
    return None


def _tell_of_stray(relay: Relay, error: HTTPException) -> None:
    """An upgrade, or a request that was probably meant for us, met no route: a caller hears it, so somebody is told.

    What the rest of the Internet looks for on every server is not worth a line.
    """
    is_upgrade, status = has_websocket_context(), error.code or 500
    asked: Any = websocket if is_upgrade else request
    if is_upgrade or asked.path.startswith(_OUR_PATHS):
        relay.observer.refused(status, "route")
        what = "upgrade" if is_upgrade else asked.method
        reason = _STRAY_REASONS.get(status, "it cannot be read")
        log.warning("%s of '%s' refused with %d: %s", what, shown(asked.path), status, reason, extra=_alike(reason))


def _alike(reason: str) -> dict[str, str]:
    """Refusals for the same reason are one line a minute: others choose how often they ask, and for what."""
    return {"repeats": reason.partition("'")[0][:40]}


_OUR_PATHS = ("/relay", "/voice", "/connect-action")
_STRAY_REASONS = {
    400: "an upgrade is for /relay, and /relay takes nothing else",
    404: "there are /relay, /voice and /connect-action, each also with /AGENT behind it, and /voice/",
    405: "expected GET or POST",
    413: f"the body is larger than {MAX_BODY_BYTES} bytes",
}
_REFUSALS = {403: "signature", 404: "agent", 503: "full"}
_PUBLIC_REASONS = {
    403: "This request is not signed as it must be; the server's log says why.",
    404: "There is no such agent here.",
    503: "No more calls are taken now.",
}
