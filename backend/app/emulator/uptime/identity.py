"""The OIDC token of a check with service agent authentication (uptime.proto, ServiceAgentAuthentication).

It is signed, with a key that nobody publishes: a service that verifies Google's signatures refuses it, one that only
reads the claims can be tried.
"""

import base64
import json
from functools import cache

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ..clock import NANOS

_LASTS_SECONDS = 3600
KEY_ID = "cloudops-emulator-not-a-google-key"


def service_agent(project_number: int) -> str:
    return f"service-{project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"


def token(audience: str, project_number: int, now: int) -> str:
    """A JSON Web Token for the URL that is checked; `now` in ns."""
    email = service_agent(project_number)
    issued = now // NANOS
    claims = {
        "iss": "https://accounts.google.com",
        "aud": audience,
        "azp": email,
        "email": email,
        "email_verified": True,
        "sub": str(project_number),
        "iat": issued,
        "exp": issued + _LASTS_SECONDS,
    }
    signed = f"{_part({'alg': 'RS256', 'kid': KEY_ID, 'typ': 'JWT'})}.{_part(claims)}"
    signature = _key().sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_encoded(signature)}"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _part(value: dict[str, object]) -> str:
    return _encoded(json.dumps(value, separators=(",", ":")).encode())


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
