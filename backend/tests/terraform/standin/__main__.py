"""Start the stand-in provider.

Started by Terraform, it speaks go-plugin's handshake. Started by hand, it prints the line that belongs into
TF_REATTACH_PROVIDERS and serves until its standard input closes, so that one process answers many commands.
"""

import base64
import datetime as dt
import json
import os
import signal
import sys
import tempfile
import threading
from concurrent import futures
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from google.protobuf import empty_pb2

from .service import Provider

ADDRESS = os.environ.get("CLOUDOPS_STANDIN_ADDRESS", "registry.terraform.io/hashicorp/google")
_CORE_PROTOCOL = 1
_PROVIDER_PROTOCOL = 6
_THREADS = 8
# Names of files under Unix sockets may be about 100 characters long.
_SOCKETS = "/tmp"  # a directory of its own is made below it


def main() -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    signal.signal(signal.SIGINT, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory(prefix="tf-", dir=_SOCKETS) as folder:
        socket = str(Path(folder) / "provider")
        server = grpc.server(futures.ThreadPoolExecutor(_THREADS))
        server.add_generic_rpc_handlers((Provider().handlers(), _controller(stopped)))
        if os.environ.get("PLUGIN_CLIENT_CERT"):
            key, certificate, der = _certificate()
            # Terraform knows our certificate from the handshake line. Its own is on curve P-521, which gRPC's TLS does
            # not take; the socket lies in a directory that only this user can enter.
            server.add_secure_port(f"unix:{socket}", grpc.ssl_server_credentials([(key, certificate)]))
            cert = base64.b64encode(der).decode().rstrip("=")
            line = f"{_CORE_PROTOCOL}|{_PROVIDER_PROTOCOL}|unix|{socket}|grpc|{cert}"
        else:
            server.add_insecure_port(f"unix:{socket}")
            threading.Thread(target=_wait_for_end_of_input, args=(stopped,), daemon=True).start()
            line = json.dumps({ADDRESS: _reattach(socket)})
        server.start()
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
        stopped.wait()
        server.stop(grace=1).wait()


def _reattach(socket: str) -> dict[str, object]:
    return {
        "Protocol": "grpc",
        "ProtocolVersion": _PROVIDER_PROTOCOL,
        "Pid": os.getpid(),
        # Terraform then leaves the process running.
        "Test": True,
        "Addr": {"Network": "unix", "String": socket},
    }


def _controller(stopped: threading.Event) -> grpc.GenericRpcHandler:
    def shutdown(_request: empty_pb2.Empty, _context: grpc.ServicerContext) -> empty_pb2.Empty:
        stopped.set()
        return empty_pb2.Empty()

    handler = grpc.unary_unary_rpc_method_handler(
        shutdown, empty_pb2.Empty.FromString, empty_pb2.Empty.SerializeToString
    )
    return grpc.method_handlers_generic_handler("plugin.GRPCController", {"Shutdown": handler})


def _wait_for_end_of_input(stopped: threading.Event) -> None:
    sys.stdin.read()
    stopped.set()


def _certificate() -> tuple[bytes, bytes, bytes]:
    """Private key and self-signed certificate for localhost: PEM, PEM, and the certificate as DER."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private, certificate.public_bytes(pem), certificate.public_bytes(serialization.Encoding.DER)


if __name__ == "__main__":
    main()
