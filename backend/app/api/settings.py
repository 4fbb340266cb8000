"""The options of the reference service; those of the library are in `core/settings.py`."""

from typing import Annotated, Final, Self

from limits import parse_many
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ..core import SettingsError

#: Where a service may run with keys that end with its process.
LOCAL: Final = frozenset({"development", "test", "demo"})
# RFC 7518, section 3.2: a key for HS256 has at least the 256 bits of its hash.
_SHORTEST_KEY: Final = 32


class ServiceSettings(BaseSettings):
    """Read from the environment, by upper-case names."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    environment: str = Field("development", description="The library's ENVIRONMENT.")

    database_url: SecretStr = Field(
        SecretStr(""),
        description="`postgresql://...` (first `python -m app.api.database.migrate`) or `sqlite:///file`. "
        "Empty: a file that ends with the process.",
    )
    database_pool_size: int = Field(5, ge=1, le=100, description="Connections kept open to PostgreSQL.")
    database_pool_overflow: int = Field(5, ge=0, le=100, description="Connections beyond these, under load.")
    database_timeout: float = Field(5.0, gt=0, le=60, description="Seconds to wait for a connection, a lock, a query.")
    redis_url: SecretStr = Field(
        SecretStr(""), description="`redis://...`: limits, lockouts and the queue are shared. Empty: one process's own."
    )
    redis_timeout: float = Field(0.25, gt=0, le=5, description="Seconds after which counters go on without Redis.")

    auth_signing_key: SecretStr | None = Field(None, description="Signs access tokens, 32 bytes or more.")
    auth_previous_signing_key: SecretStr | None = Field(
        None, description="Still accepted: the key before, while tokens signed with it live."
    )
    access_token_seconds: int = Field(900, ge=30, le=86_400, description="Life of an access token.")
    refresh_token_seconds: int = Field(1_209_600, ge=60, le=31_536_000, description="Life of an unused refresh token.")
    session_seconds: int = Field(
        7_776_000, ge=60, le=31_536_000, description="Life of a session, however often renewed."
    )
    login_attempts_per_account: int = Field(5, ge=1, le=1000, description="Failed logins that lock an account.")
    login_attempts_per_address: int = Field(30, ge=1, le=10_000, description="Failed logins that lock an address.")
    login_window_seconds: int = Field(900, ge=1, le=86_400, description="Within which these are counted.")
    lockout_seconds: int = Field(900, ge=1, le=86_400, description="For which a lockout holds.")
    # cheatsheetseries.owasp.org, Password Storage: Argon2id with 19 MiB, two passes and one lane.
    password_memory_kib: int = Field(19_456, ge=8, le=2**20, description="Memory of one password hash.")
    password_passes: int = Field(2, ge=1, le=100, description="Passes over it.")
    password_workers: int = Field(2, ge=1, le=64, description="Passwords hashed at a time, each in a thread.")

    rate_limiting: bool = Field(True, description="Refuse what exceeds the limits.")
    rate_limits: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        {}, description='JSON: other limits by policy, such as `{"login": "10/minute;100/hour"}`.'
    )

    content_workers: int = Field(4, ge=0, le=64, description="Jobs generated at a time; 0: none in this process.")
    content_attempts: int = Field(3, ge=1, le=100, description="Deliveries after which a job is a dead letter.")
    content_retry_seconds: float = Field(1.0, ge=0, le=600, description="Pause before the second; doubles each time.")
    content_stage_seconds: float = Field(10.0, gt=0, le=600, description="Seconds that one stage may take.")
    content_waiting: int = Field(1000, ge=1, description="Jobs that may wait; beyond, new ones are refused.")

    @field_validator("rate_limits")
    @classmethod
    def _readable(cls, value: dict[str, str]) -> dict[str, str]:
        for text in value.values():
            parse_many(text)
        return value

    @field_validator("auth_signing_key", "auth_previous_signing_key")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < _SHORTEST_KEY:
            raise ValueError(f"a signing key has at least {_SHORTEST_KEY} bytes: openssl rand -base64 32")
        return value

    @model_validator(mode="after")
    def _signed_where_it_counts(self) -> Self:
        if self.environment not in LOCAL and self.auth_signing_key is None:
            raise ValueError(
                f"AUTH_SIGNING_KEY is needed where ENVIRONMENT={self.environment}: openssl rand -base64 32"
            )
        return self

    @classmethod
    def load(cls, **overrides: object) -> Self:
        """Settings from the environment, with `overrides` by field name.

        Raises:
            SettingsError: A value cannot be used; every wrong one is named, none is shown.
        """
        try:
            return cls(**overrides)  # type: ignore[arg-type]  # pydantic checks the types
        except ValidationError as error:
            lines = [
                f"{str(problem['loc'][0]).upper() + ': ' if problem['loc'] else ''}{problem['msg']}"
                for problem in error.errors(include_url=False, include_input=False)
            ]
            raise SettingsError("Wrong settings, the service does not start:\n  " + "\n  ".join(lines)) from None
