"""What an operator sets, by environment variables that start with TRAINYARD_; read once, at start."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


@dataclass(frozen=True)
class DataAccess:
    """Where data may come from; see `Settings` for each."""

    roots: tuple[Path, ...]
    data_dir: Path
    http_hosts: tuple[str, ...] = ()
    s3_endpoint: str | None = None


class Settings(BaseSettings):
    """A service's settings, frozen."""

    model_config = SettingsConfigDict(env_prefix="TRAINYARD_", frozen=True, extra="ignore", populate_by_name=True)

    instance: str = Field("", description="Name under which this service's runs are kept; the service's name by default")
    host: str = Field("127.0.0.1", description="Address to listen on; anything but loopback needs a token")
    port: int = Field(0, ge=0, le=65535, description="Port to listen on; the service's own by default")
    work_dir: Path = Field(Path(".run/work"), description="Holds a folder a run: request, log, checkpoints, outcome")
    locks_dir: Path | None = Field(None, description="Holds the registry's locks; the same folder for all services of one MLflow; locks/ in the work directory by default")
    data_roots: Annotated[tuple[Path, ...], NoDecode] = Field((), description="Colon-separated folders that file URIs may lie in")
    data_dir: Path = Field(Path(".run/data"), description="Holds mnist/ and fashion_mnist/; downloads go there")
    http_hosts: Annotated[tuple[str, ...], NoDecode] = Field((), description="Comma-separated hosts that http(s) data may come from")
    s3_endpoint: str | None = Field(None, description="Address of an S3-speaking server other than AWS")
    models_path: Path | None = Field(None, description="A folder of extra model files")
    token: SecretStr | None = Field(None, description="Bearer token that every call but /healthz needs")
    token_file: Path | None = Field(None, description="File that holds the token")
    slots: int = Field(1, ge=1, le=64, description="Runs at once")
    queue: int = Field(100, ge=0, le=10_000, description="Runs that may wait")
    threads: int = Field(0, ge=0, description="CPU threads to divide among the slots; all of the machine's by default")
    grace_seconds: float = Field(15.0, ge=0.0, le=600.0, description="Time a cancelled run has to end by itself")
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body")
    min_free_disk_mb: int = Field(200, ge=0, description="Below this /readyz says the disk is full and submits get 503")
    tracking_patience_seconds: float = Field(3600.0, ge=1.0, description="How long a run that has trained waits for MLflow before it fails")
    keep_work_days: float = Field(7.0, ge=0.0, description="Work directories of ended runs are removed after this")
    tracking_uri: str = Field("http://127.0.0.1:5000", validation_alias="MLFLOW_TRACKING_URI", description="The MLflow server")
    mlflow_ui_url: str | None = Field(None, description="MLflow's address for people, in links; MLFLOW_TRACKING_URI by default")
    git_commit: str = Field("unknown", description="Commit the image was built from")

    @field_validator("data_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        return tuple(Path(part) for part in value.split(os.pathsep) if part) if isinstance(value, str) else value

    @field_validator("http_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: Any) -> Any:
        return tuple(part.strip().lower() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _closed_unless_token(self) -> Self:
        if self.host not in {"127.0.0.1", "::1", "localhost"} and not self.secret:
            message = f"TRAINYARD_HOST is {self.host!r}, which others can reach: set TRAINYARD_TOKEN or TRAINYARD_TOKEN_FILE, or listen on 127.0.0.1"
            raise ValueError(message)
        return self

    @cached_property
    def secret(self) -> str | None:
        """The token, from the variable or the file; None where neither is set."""
        if self.token and self.token.get_secret_value():
            return self.token.get_secret_value()
        return self.token_file.read_text().strip() if self.token_file else None

    @property
    def locks(self) -> Path:
        """Where promotions of one registered model take turns."""
        return (self.locks_dir or self.work_dir / "locks").resolve()

    @property
    def threads_a_slot(self) -> int:
        """CPU threads a run may use."""
        return max(1, (self.threads or len(os.sched_getaffinity(0))) // self.slots)

    @property
    def data_access(self) -> DataAccess:
        """Where data may come from."""
        return DataAccess(
            roots=tuple(root.resolve() for root in self.data_roots),
            data_dir=self.data_dir.resolve(),
            http_hosts=self.http_hosts,
            s3_endpoint=self.s3_endpoint,
        )
