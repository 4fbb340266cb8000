"""`instrument(app)`: every part of telemetry, in its one right order."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from fastapi import FastAPI

from .client_address import TrustedProxies
from .ending import Ending
from .errors.api import ErrorReportingApi
from .errors.reports import ErrorReports
from .exchange import Exchange
from .exclusion import Exclusion
from .health import HealthRegistry, has_routes, health, router, routes
from .health.rates import RequestRates, request_totals
from .kinds import Kind, Kinds
from .lifecycle import Worker, process_worker
from .literal_routes import LiteralRoutes
from .logging.access import BACKGROUND_SECONDS, AccessLog
from .logging.admin import admin_routes
from .logging.audit import get_audit_logger
from .logging.debug import DebugRequests
from .logging.destination import Destination, cloud_logging, standard_output
from .logging.entry import Identity
from .logging.processors import chain
from .logging.resource import generic_task
from .logging.sampling import Sampling
from .logging.setup import configure, write_held
from .metrics import metrics_client
from .metrics.distinct import ActiveUsers
from .metrics.exposition import Exposition, metrics_routes
from .metrics.instruments import MetricsClient
from .metrics.labels import Labels
from .metrics.own import Follower
from .metrics.requests import RequestMetrics
from .metrics.sources import ProcessSource, refreshers, service_info, system_metrics
from .monitoring_middleware import ATTRIBUTE, observed_call
from .redaction import Redaction
from .route import RouteTree
from .runtime import Runtime, from_environment
from .settings import Settings, SettingsError, listed, secret
from .tracing.choose import choose
from .tracing.native import telemetry_of
from .websocket import Connection

# The metadata server answers within milliseconds where there is one; the first entries should carry the project.
_LOCATE_SECONDS = 0.05
_CLOSE_SECONDS = 5.0
# What FastAPI answers to a request that has not the declared shape (RFC 9110, section 15.5.21).
_UNPROCESSABLE = 422
_OUR_FAILURES = frozenset({"server_error", "timeout", "aborted_stream"})


class Observability:
    """The telemetry of one app.

    Args:
        settings: Read from the environment when None.
        worker: The background thread and store; the process's own when None.
        write: Takes each log line, with its newline; standard output when None.
        health_checks: The service's checks; the process's own when None.
        time_ns: Wall time in nanoseconds, for log entries.
        telemetry: What `FastAPI(telemetry=...)` was given; `instrument` reads it from the app.

    Raises:
        SettingsError: A setting in the environment cannot be used.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        worker: Worker | None = None,
        write: Callable[[bytes], None] | None = None,
        health_checks: HealthRegistry | None = None,
        time_ns: Callable[[], int] = time.time_ns,
        telemetry: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings or Settings.load()
        self.worker = worker or process_worker
        self.worker.store.labels = Labels(
            self.settings.client_identity, secret(self.settings.hash_key), self.settings.metrics_open_values
        )
        for path in listed(self.settings.metrics_catalogue):
            metrics_client.load_catalogue(path)
        self.health = health if health_checks is None else health_checks
        self.started = False
        #: Where the app's routing begins; a middleware learns it with the first request.
        self.routes = RouteTree(None)
        self._time_ns = time_ns
        self._located(from_environment(self.settings.google_cloud_project, bool(self.settings.cloudops_emulator_host)))
        self.destination = self._destination() if write is None else None
        self._write = self.destination.write if self.destination is not None else cast("Callable[[bytes], None]", write)
        self.requests = RequestMetrics.of(
            self.worker.store, self.settings.service, enabled=self.settings.enable_metrics
        )
        settings = self.settings
        self.redaction = Redaction(
            listed(settings.redact_keys),
            listed(settings.redact_keep_keys),
            settings.redact_mode,
            secret(settings.hash_key),
        )
        tracing = settings.enable_tracing
        self._access = AccessLog(self._identity, self._write, time_ns, self.redaction, tracing=tracing)
        self.kinds = Kinds(self._kind)
        #: Writes entries that are never sampled or dropped; see `core.logging.audit`.
        self.audit = get_audit_logger(
            self.destination.keep if self.destination is not None else self._write,
            chain(self._identity, time_ns, self.redaction, tracing=tracing, cold=self._is_cold),
            redaction=self.redaction,
            strict=settings.audit_strict,
        )
        self._error_api = (
            ErrorReportingApi(lambda: self.identity.runtime.project, settings.cloudops_emulator_host)
            if settings.error_reporting == "api"
            else None
        )
        self._errors = ErrorReports(
            self._identity,
            self._write,
            time_ns,
            self.redaction,
            tracing=tracing,
            also=self._error_api,
            cold=self._is_cold,
        )
        self._access_log = settings.access_log
        self._exemplars = settings.enable_metrics and tracing and settings.metrics_exemplars
        self.tells_deliveries = settings.access_log != "off"
        self.trusted_proxies = TrustedProxies.parse(settings.trusted_proxies)
        self.trusts_proxies = bool(self.trusted_proxies)
        self._slow_seconds = settings.slow_request_seconds
        self.exclusion = Exclusion([*listed(settings.excluded_routes), *listed(settings.metrics_route)])
        #: None where the app does not trace.
        self.traces = choose(
            settings,
            self._identity,
            self.redaction,
            MetricsClient(self.worker.store),
            self.worker.clock,
            excluded=self.exclusion.covers,
            located=self.worker.wait_located,
            telemetry=telemetry or {},
        )
        if self.traces is not None and settings.enable_cost_tracking:
            self.worker.price("traces", lambda: self.traces.sent if self.traces is not None else 0.0)
        self.debug_requests = DebugRequests(secret(settings.debug_header_key))
        self.metrics = metrics_client if worker is None else MetricsClient(self.worker.store)
        self.system: ProcessSource | None = None
        self._errors_total = self.metrics.counter("errors_total")
        self.active_users = ActiveUsers(self.metrics)
        if settings.enable_metrics:
            self.worker.before_export(self.active_users.publish)
        if self.destination is not None:
            self._publish(self.destination)
        self._configure_health()
        self.ending = Ending(
            self.health,
            self.worker,
            self.destination,
            settings.drain_seconds,
            on_cloud_run=self.identity.runtime.platform == "cloud_run",
        )

    def _configure_health(self) -> None:
        self.health.configure(self.settings, self.redaction)
        self.health.metrics = self.metrics
        about = self.health.about
        about.facts = self._facts
        about.in_flight = lambda: self.requests.in_flight
        about.rates = RequestRates(lambda: request_totals(self.worker.store, self.settings.service))

    def _facts(self) -> dict[str, str]:
        identity = self.identity
        return {
            "service": identity.service,
            "version": identity.version,
            "commit": identity.commit,
            "revision": identity.runtime.revision,
            "instance": identity.runtime.instance,
        }

    def _destination(self) -> Destination:
        settings = self.settings
        if settings.log_destination == "stdout":
            return standard_output(settings.log_format, settings.log_buffer_bytes)
        runtime = self.identity.runtime
        if not runtime.project:
            raise SettingsError("LOG_DESTINATION=api needs to know the project: set GOOGLE_CLOUD_PROJECT")
        return cloud_logging(
            runtime.project,
            settings.log_name or settings.service,
            generic_task(runtime.location or "global", settings.environment, settings.service, runtime.instance),
            emulator_host=settings.cloudops_emulator_host,
            buffer_bytes=settings.log_buffer_bytes,
            spool=settings.spool,
        )

    def _close_destination(self) -> None:
        if self.destination is not None:
            self.destination.close(_CLOSE_SECONDS)

    def _close_traces(self) -> None:
        if self.traces is not None:
            self.traces.close()

    def _publish(self, destination: Destination) -> None:
        dropped = self.metrics.counter("cloudops_dropped_total", {"signal": "logs", "reason": "undelivered"})
        self.worker.before_export(Follower(dropped, lambda: destination.dropped))
        if self.settings.enable_cost_tracking:
            self.worker.price("logs", lambda: destination.bytes)
            written = self.metrics.counter("cloudops_log_bytes_total")
            self.worker.before_export(Follower(written, lambda: destination.bytes))

    def _located(self, runtime: Runtime) -> None:
        self.identity = Identity(
            self.settings.service,
            self.settings.version,
            self.settings.environment,
            runtime,
            self.settings.commit_sha,
            self.worker.label,
        )

    def _is_cold(self) -> bool:
        return self._access.cold

    def _identity(self) -> Identity:
        return self.identity

    def configure_logging(self) -> None:
        """Give every logger of this process the same format."""
        configure(
            self._identity,
            self._write,
            level=self.settings.log_level,
            time_ns=self._time_ns,
            redaction=self.redaction,
            tracing=self.settings.enable_tracing,
            sampling=Sampling(self.settings.log_sample_rates),
            verbose_requests=self.debug_requests.possible,
            cold=self._is_cold,
        )

    def _kind(self, method: str, template: str, status: int, outcome: str) -> Kind:
        told = status >= 400 or not self.exclusion.covers(template)  # noqa: PLR2004  # a failing probe is always told
        return Kind(
            excluded=not told,
            cells=self.requests.cells(method, template, status, outcome) if told and self.requests.enabled else None,
            head=self._access.head(method, template, status, outcome),
        )

    def finish(self, exchange: Exchange, error: BaseException | None) -> None:
        """A request is over, its background work included: write what is to be told of it."""
        self.worker.nudge()
        if self.traces is not None:  # before its entries, which say whether it was kept
            self.traces.finish(exchange, error)
        outcome = exchange.outcome
        problem = outcome in _OUR_FAILURES or exchange.ended - exchange.started >= self._slow_seconds
        if error is not None and outcome in _OUR_FAILURES and isinstance(error, Exception):
            self._errors(exchange, error)
            if self.settings.enable_metrics:
                self._errors_total.labels(type=error).add()
        if exchange.user_id and self.settings.enable_metrics:
            self.active_users.saw(exchange.user_id)
        if exchange.held and (problem or error is not None):
            write_held(exchange)
        if exchange.kind.excluded:
            return
        if exchange.background >= BACKGROUND_SECONDS:
            self.requests.background(exchange)
        if exchange.status == _UNPROCESSABLE:
            self.requests.invalid(exchange)
        if self._exemplars and exchange.ids[2] and exchange.kind.cells is not None:
            self.requests.exemplify(exchange, exchange.kind.cells, self._time_ns())
        if self._access_log == "all" or (self._access_log == "problems" and (problem or outcome != "ok")):
            self._access(exchange, error)
        else:
            self._access.cold = False

    def connected(self, connection: Connection) -> None:
        """A websocket was accepted."""
        self.requests.connected(connection)

    def disconnected(self, connection: Connection, error: BaseException | None) -> None:
        """A websocket connection has ended."""
        self.worker.nudge()
        if self.traces is not None:
            self.traces.disconnected(connection, error)
        self.requests.disconnected(connection)
        if self._access_log == "all" or (self._access_log == "problems" and connection.failed):
            self._access.connection(connection, error)

    def start(self) -> None:
        """Start the background thread, or join in; does not wait for it."""
        if not self.started:
            self.started = True
            if self.destination is not None:
                self.destination.open()
            if self.worker is process_worker:  # entries say from now on which worker writes them
                self.worker.claim(self.settings.service)
                self._located(self.identity.runtime)
            self.worker.start(self.settings, self._located)
            if self.traces is not None:
                self.traces.start()
            self.worker.store.routes |= self.routes.templates()  # known before their first request
            if self.settings.enable_metrics:
                self._watch_process()
            self.ending.start()
            self.health.refresh_in_background()

    def _watch_process(self) -> None:
        self.system = system_metrics(self.metrics, serving=lambda: self.requests.in_flight)
        self.system.watch_loop()
        settings = self.settings
        service_info(self.metrics, settings.version, settings.commit_sha, self.identity.runtime.revision)

    def ready(self) -> None:
        """The app serves from now on."""
        self.health.started()
        self.ending.listen()
        if self.system is not None:
            self.system.ready()

    def metrics_page(self) -> Exposition:
        """What `METRICS_ROUTE` answers with."""
        store = self.worker.store
        alone = self.settings.metrics_backend == "none"
        return Exposition(store, self.settings.service, refreshers(store), alone=alone)

    async def start_and_locate(self) -> None:
        """Start, and give a platform's metadata server a moment to say where we run."""
        self.health.starting()
        self.start()
        if self.identity.runtime.platform != "other":
            await asyncio.to_thread(self.worker.located.wait, _LOCATE_SECONDS)

    async def stop(self) -> None:
        """Flush what has been counted; bounded by Cloud Run's ten seconds."""
        if self.started:
            self.started = False
            with self.ending.last():
                if self._error_api is not None:
                    await asyncio.to_thread(self._error_api.close)
                # At the same time: all have to end within the platform's ten seconds.
                await asyncio.gather(
                    asyncio.to_thread(self.worker.stop),
                    asyncio.to_thread(self._close_destination),
                    asyncio.to_thread(self._close_traces),
                )


def instrument(app: FastAPI, settings: Settings | None = None, **options: Any) -> Observability:
    """Observe an app: logs, request metrics, ids and health endpoints.

    Calling it again on the same app returns what the first call returned. It may be called before or after routes and
    middleware are added: the layer stands outside of them all.

    Args:
        app: The app; its class is replaced by a subclass of it, so that `app` stays the object it was.
        settings: Read from the environment when None.
        options: For `Observability`.

    Raises:
        SettingsError: A setting in the environment cannot be used.
    """
    before = getattr(app, ATTRIBUTE, None)
    if before is not None:
        return cast("Observability", before)
    observability = Observability(settings, **{"telemetry": telemetry_of(app), **options})
    observability.configure_logging()
    own = metrics_routes(observability.settings.metrics_route, observability.metrics_page())
    if observability.settings.health_routes and not has_routes(app):
        if observability.settings.health_in_openapi:
            app.include_router(router(observability.health, observability.health.paths, in_openapi=True))
        else:
            own += routes(observability.health)
    if token := secret(observability.settings.admin_token):
        own += admin_routes(token)
    if own:
        app.router.routes.append(LiteralRoutes(own))
    observability.routes = RouteTree(app)
    setattr(app, ATTRIBUTE, observability)
    app.__class__ = _observed_class(type(app))
    return observability


def _observed_class(base: type[FastAPI]) -> type[FastAPI]:
    """A subclass whose call is the layer: outside of the app's middleware, error handling and other wrappers.

    Wrapping the app in another object would hide it from tools that patch it, and `add_middleware` cannot reach the
    answer to an unhandled exception.
    """
    call = observed_call(base.__call__)
    return type(base.__name__, (base,), {"__call__": call, "__module__": base.__module__, "__doc__": base.__doc__})
