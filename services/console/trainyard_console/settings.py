"""What an operator sets, by the same variables as for the services; read once, at start."""

import secrets
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from trainyard.settings import LOOPBACK, HostNames, ServiceAddresses

SERVICES = (
    ("boosting", "http://127.0.0.1:8001"),
    ("tensorflow", "http://127.0.0.1:8002"),
    ("pytorch", "http://127.0.0.1:8003"),
)


class Settings(BaseSettings):
    """The console's settings, frozen."""

    model_config = SettingsConfigDict(env_prefix="TRAINYARD_", frozen=True, extra="ignore")

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    services: ServiceAddresses = Field(SERVICES, description="Name and address of each service")
    allowed_hosts: HostNames = ()
    work_dir: Path = Field(Path(".run/console"), description="Holds the secret of the sessions")

    @property
    def reachable_by_others(self) -> bool:
        """Whether others than this machine's users may open it; then a service without a token is not shown."""
        return self.host not in LOOPBACK

    def secret(self) -> bytes:
        """What cookies are signed with: made at the first start, readable to its owner alone. Raises OSError."""
        file = self.work_dir / "session.secret"
        self.work_dir.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            draft = file.with_suffix(".tmp")
            draft.touch(mode=0o600)
            draft.write_bytes(secrets.token_hex(32).encode())
            draft.replace(file)
        return file.read_bytes()
