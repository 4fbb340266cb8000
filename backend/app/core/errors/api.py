"""Error events through Error Reporting's API, for hosts whose standard output nobody reads (`ERROR_REPORTING=api`).

The entry in the log is written all the same. Calls are made by a thread of its own, with a short timeout, and never
waited for; what does not fit into the queue is dropped and counted.
"""

import os
import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from .. import guard

_WAITING: Final = 100
_TIMEOUT_SECONDS: Final = 5.0
_STOP: Final = None


class ErrorReportingApi:
    """Sends events; nothing is loaded or started before the first one.

    Args:
        project: Gives the project id, which may be learnt late; empty: the event is dropped.
        emulator_host: `host:port` of the emulator's gRPC port; empty: Google Cloud.
    """

    def __init__(self, project: Callable[[], str], emulator_host: str = "") -> None:
        self._project = project
        self._emulator_host = emulator_host
        self._queue: queue.Queue[Mapping[str, Any] | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None
        self._pid = 0
        self.dropped = 0

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Take an event, as it stands in the log entry."""
        if self._pid != os.getpid():
            # After a fork the parent's thread does not exist here, and its queue is the parent's.
            self._pid = os.getpid()
            self._queue = queue.Queue(_WAITING)
            self._thread = threading.Thread(target=self._run, name="fastapi-cloudops-errors", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(event)
        except queue.Full:
            self.dropped += 1

    def close(self, timeout: float = _TIMEOUT_SECONDS) -> None:
        """Send what waits, for at most `timeout` seconds."""
        thread, self._thread = self._thread, None
        if thread is None or self._pid != os.getpid():
            return
        self._pid = 0
        try:
            self._queue.put(_STOP, timeout=timeout)
        except queue.Full:
            return
        thread.join(timeout)

    def _run(self) -> None:
        send: Callable[[Mapping[str, Any]], None] | None = None
        while (event := self._queue.get()) is not _STOP:
            try:
                send = send or self._connect()
                send(event)
            except Exception as error:  # noqa: BLE001  # one event lost must not end the thread
                self.dropped += 1
                guard.caught("error reporting", error)

    def _connect(self) -> Callable[[Mapping[str, Any]], None]:
        from google.cloud import errorreporting_v1beta1 as api  # noqa: PLC0415  # an extra, and slow to load
        from google.cloud.errorreporting_v1beta1.services.report_errors_service.transports import (  # noqa: PLC0415
            ReportErrorsServiceGrpcTransport,
        )

        if self._emulator_host:
            import grpc  # noqa: PLC0415  # as above

            channel = grpc.insecure_channel(self._emulator_host)
            client = api.ReportErrorsServiceClient(transport=ReportErrorsServiceGrpcTransport(channel=channel))
        else:
            client = api.ReportErrorsServiceClient()

        def send(event: Mapping[str, Any]) -> None:
            reported = api.ReportedErrorEvent(
                message=event["stack_trace"],
                service_context={name: event["serviceContext"].get(name, "") for name in ("service", "version")},
                context=_context(event["context"]),
            )
            name = f"projects/{self._project()}"
            client.report_error_event(project_name=name, event=reported, timeout=_TIMEOUT_SECONDS)

        return send


def _context(context: Mapping[str, Any]) -> dict[str, Any]:
    request = context["httpRequest"]
    return {
        "http_request": {
            "method": request["method"],
            "url": request["url"],
            "user_agent": request["userAgent"],
            "response_status_code": request["responseStatusCode"],
        },
        "user": context.get("user", ""),
    }
