"""Checks of other services: HTTP, TLS certificates, Pub/Sub; against real servers on this machine."""

import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.pubsub_v1 import GetSubscriptionRequest, SubscriberClient, Subscription
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport

from app.core import HealthRegistry
from app.core.health.ready_made import certificate_check, certificate_file_check, http_check, pubsub_check
from support.provenance import known_from
from support.servers import free_port

NAME = "projects/demo/subscriptions/orders"


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:  # their names are http.server's
        status = int(self.path.rpartition("/")[2].partition("?")[0])
        self.send_response(status)
        if status == 302:
            self.send_header("location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(b"x" * 10)

    do_HEAD = do_GET  # noqa: N815  # as above

    def log_message(self, *arguments: object) -> None:
        del arguments


@contextlib.contextmanager
def _serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that trusts nobody hangs up
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_service_passes_by_its_status_and_redirects_are_not_followed():
    with _serving() as port:
        base = f"http://127.0.0.1:{port}"
        for status, passes in {200: "healthy", 302: "healthy", 404: "unhealthy", 503: "unhealthy"}.items():
            answer = http_check(f"{base}/{status}?q=1")()
            assert (answer.status, answer.value) == (passes, status)
        assert http_check(f"{base}/404", statuses={404})().status == "healthy"
        assert http_check(f"{base}/200", statuses={204})().reason == "answered 200"
        assert http_check(f"{base}/200", method="HEAD")().status == "healthy"


async def test_a_service_that_is_gone_is_unhealthy():
    registry = HealthRegistry()
    registry.add("prices", http_check(f"http://127.0.0.1:{free_port()}/"))
    [result] = await registry.results()
    assert (result.status, "ConnectionRefusedError" in result.answer.reason) == ("unhealthy", True)


@pytest.mark.parametrize("url", ["ftp://x/", "prices", "http://", "file:///etc/passwd"])
def test_what_is_no_url_of_a_service_is_refused_at_once(url):
    with pytest.raises(ValueError, match="no http"):
        http_check(url)


def _certificate(folder: Path, days: float) -> Path:
    """A key and a certificate of its own that is good for so many days, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=100))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{days}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.mark.parametrize(("days", "status"), [(90, "healthy"), (10, "degraded"), (2, "unhealthy"), (-1, "unhealthy")])
async def test_a_certificate_is_judged_by_the_days_it_has_left(tmp_path, days, status):
    path = _certificate(tmp_path, days)
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(path)
    trusting = ssl.create_default_context(cafile=path)
    registry = HealthRegistry()
    with _serving(serving) as port:
        registry.add("shown", certificate_check("localhost", port, context=trusting))
        registry.add("not trusted", certificate_check("localhost", port))
        registry.add("file", certificate_file_check(path))
        shown, stranger, file = await registry.results()
    assert (shown.status, file.status) == (status, status)
    if days > 0:
        assert isinstance(shown.answer.value, float)
        assert shown.answer.value == pytest.approx(days, abs=0.1)
    else:
        assert "expired" in shown.answer.reason
        assert file.answer.reason == "expired"
    assert "certificate verify failed" in stranger.answer.reason


class _Subscriptions(grpc.GenericRpcHandler):
    """`google.pubsub.v1.Subscriber/GetSubscription` alone."""

    def __init__(self) -> None:
        self.known: dict[str, Subscription] = {}

    def service(self, details: grpc.HandlerCallDetails) -> "grpc.RpcMethodHandler[Any, Any] | None":
        if details.method != "/google.pubsub.v1.Subscriber/GetSubscription":
            return None

        def get(request: bytes, context: grpc.ServicerContext) -> bytes:
            name = GetSubscriptionRequest.deserialize(request).subscription
            if name not in self.known:
                context.abort(grpc.StatusCode.NOT_FOUND, "Resource not found (resource=orders).")
            return bytes(Subscription.serialize(self.known[name]))

        return grpc.unary_unary_rpc_method_handler(get)


@known_from(docs="google/pubsub/v1/pubsub.proto, Subscription.topic and Subscription.detached")
async def test_a_subscription_that_is_gone_detached_or_without_topic_is_unhealthy():
    subscriptions = _Subscriptions()
    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((subscriptions,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    transport = SubscriberGrpcTransport(channel=channel, credentials=AnonymousCredentials())
    client = SubscriberClient(transport=transport, client_options=ClientOptions())
    pulling: Future[None] = Future()
    registry = HealthRegistry()
    registry.timeout, registry.interval, registry.retry_interval, registry.expiry = 10.0, 0.0, 0.0, 0.0
    registry.add("orders", pubsub_check(client, NAME, pulling=pulling))

    async def told() -> tuple[str, str]:
        [result] = await registry.results()
        return result.status, result.answer.reason

    try:
        status, reason = await told()
        assert (status, "NotFound" in reason) == ("unhealthy", True)
        subscriptions.known[NAME] = Subscription(name=NAME, topic="projects/demo/topics/orders")
        assert await told() == ("healthy", "")
        subscriptions.known[NAME] = Subscription(name=NAME, topic="_deleted-topic_")
        assert await told() == ("unhealthy", "the subscription's topic is deleted")
        subscriptions.known[NAME] = Subscription(name=NAME, topic="projects/demo/topics/orders", detached=True)
        assert await told() == ("unhealthy", "the subscription is detached from its topic")
        pulling.set_exception(RuntimeError("stream broken"))
        assert await told() == ("unhealthy", "nobody pulls any more: RuntimeError('stream broken')")
    finally:
        channel.close()
        server.stop(None).wait(5)
