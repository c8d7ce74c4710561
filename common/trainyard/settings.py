"""What an operator sets, by environment variables that start with TRAINYARD_; read once, at start."""

import os
from base64 import b64decode
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import (
    BeforeValidator,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from trainyard.datasets.access import DataAccess
from trainyard.datasets.sources.connections import read_connections
from trainyard.datasets.sources.memory import available_mb
from trainyard.errors import ServiceError
from trainyard.hardware import cpus_there, gpus_there
from trainyard.people.tokens import read_tokens
from trainyard.service import Service

SERVICE_MB = 150
"""What a service's own process takes in memory."""
LEAST_MB = 64
"""Of memory for data, however little a run may use."""
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
"""What a service may listen on without a token."""


def _split_services(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
    for name, _, url in pairs:
        if not (name.strip() and url.strip().startswith(("http://", "https://"))):
            message = f"TRAINYARD_SERVICES: {name!r} has no address; write name=http://host:port, with commas between"
            raise ValueError(message)
    return tuple((name.strip(), url.strip()) for name, _, url in pairs)


def _split_hosts(value: Any) -> Any:
    return (
        tuple(part.strip().lower() for part in value.split(",") if part.strip())
        if isinstance(value, str)
        else value
    )


ServiceAddresses = Annotated[
    tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_split_services)
]
"""Names and addresses; read from `name=url` pairs with commas between."""
HostNames = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_hosts)]
"""In lower case; read from names with commas between."""


class Engine(StrEnum):
    """What starts runs' processes."""

    LOCAL = "local"
    RAY = "ray"


class Settings(BaseSettings):
    """A service's settings, frozen."""

    model_config = SettingsConfigDict(
        env_prefix="TRAINYARD_", frozen=True, extra="ignore", populate_by_name=True
    )

    instance: str = Field(
        "",
        description="Name under which this service's runs are kept; the service's name by default",
    )
    host: str = Field(
        "127.0.0.1", description="Address to listen on; anything but loopback needs a token"
    )
    port: int = Field(
        0, ge=0, le=65535, description="Port to listen on; the service's own by default"
    )
    work_dir: Path = Field(
        Path(".run/work"), description="Holds a folder a run: request, log, checkpoints, outcome"
    )
    locks_dir: Path | None = Field(
        None,
        description="Holds the registry's locks; the same folder for all services of one MLflow; locks/ in the work directory by default",
    )
    data_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (), description="Colon-separated folders that file URIs may lie in"
    )
    data_dir: Path = Field(
        Path(".run/data"), description="Holds mnist/ and fashion_mnist/; downloads go there"
    )
    http_hosts: HostNames = Field(
        (), description="Comma-separated hosts that http(s) data may come from"
    )
    notify_hosts: HostNames = Field(
        (),
        description="Comma-separated hosts, with or without port, that may be told of runs; none by default",
    )
    notify_secret: SecretStr | None = Field(
        None,
        description="What these messages are signed with: whsec_ and 24 to 64 random bytes in base64",
    )
    s3_endpoint: str | None = Field(
        None, description="Address of an S3-speaking server other than AWS"
    )
    s3_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Comma-separated buckets that s3:// data may come from; any by default"
    )
    connections_file: Path | None = Field(
        None,
        description="TOML file of databases and catalogs that data may come from, by name, with what opens them; it is read when one is asked",
    )
    query_seconds: float = Field(
        600.0, ge=1.0, description="How long a database may be asked for the rows of a run"
    )
    output_roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description="Colon-separated folders that predictions may be written below; none by default",
    )
    output_buckets: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated buckets that predictions may be written to; none by default",
    )
    models_path: Path | None = Field(None, description="A folder of extra model files")
    token: SecretStr | None = Field(
        None,
        description="Bearer token that may do everything; with it every call but /healthz needs one",
    )
    token_file: Path | None = Field(None, description="File that holds the token")
    tokens_file: Path | None = Field(
        None,
        description="File of people's tokens, by hash, with names, teams and roles; `trainyard token` writes it, and it is read again when it changes",
    )
    allowed_hosts: HostNames = Field(
        (),
        description="Comma-separated names that this service may be called by without a token, and whose pages may call it, beside addresses, names without a dot, and *.localhost, *.internal and *.cluster.local: train.example.com, *.example.com, or * for any",
    )
    services: ServiceAddresses = Field(
        (),
        description="Comma-separated name=url pairs of all services of one MLflow, this one among them, the same everywhere; the first decides about promotions for all; none by default",
    )
    judge_seconds: float = Field(
        300.0,
        ge=1.0,
        description="How long scoring the holder of an alias may take when somebody asks for a promotion, or another service asks",
    )
    judge_memory_mb: int = Field(
        8192, ge=256, description="Memory that this may take, beyond what the framework has"
    )
    slots: int = Field(
        0, ge=0, le=64, description="Runs at once; by default one, or as many as there are GPUs"
    )
    quotas: Annotated[tuple[tuple[str, int], ...], NoDecode] = Field(
        (),
        description="Comma-separated team=slots pairs: how many slots a team's runs have at once at most; any by default",
    )
    queue: int = Field(100, ge=0, le=10_000, description="Runs that may wait")
    niceness: int = Field(
        10,
        ge=0,
        le=19,
        description="By how much runs stand back for whatever else wants the processor, the service's answers above all, as `nice` has it; 0 for not at all",
    )
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads to divide among the slots; all of the machine's or of the container's CPU quota by default",
    )
    memory_mb: int = Field(
        0,
        ge=0,
        description="Memory that a run may use, by which a table is read whole or in batches; by default that of the container or the machine, without what the service takes, divided by the slots",
    )
    gpus: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Comma-separated GPUs that runs are given, by number or UUID, or none; by default those of CUDA_VISIBLE_DEVICES, or all that NVIDIA's driver tells",
    )
    run_cpus: int = Field(
        0,
        ge=0,
        description="CPUs of a run that does not ask for any; by default its slot's share of the threads, on any core",
    )
    run_gpus: int = Field(
        0,
        ge=0,
        description="GPUs of a run that does not ask for any; by default one, where there is one for each slot, and otherwise it sees all",
    )
    run_memory_mb: int = Field(
        0, ge=0, description="Memory limit of a run that does not ask for one; none by default"
    )
    engine: Engine = Field(
        Engine.LOCAL,
        description="Where runs run: local, on the service's own host, or ray, on the hosts that have joined it in a Ray cluster",
    )
    host_lease_seconds: float = Field(
        60.0,
        ge=5.0,
        le=3600.0,
        description="With an engine: a host that has not heard of its service for so long ends its runs, and the service tries them elsewhere a little later",
    )
    checkpoints: str = Field(
        "",
        description="With an engine: a folder that all hosts see at this path, or s3://bucket/folder, where runs on other hosts keep their checkpoints, so that another host goes on from them; by default it starts anew",
    )
    node_address: str = Field(
        "",
        description="This host's own address among those of the engine's cluster; by default the one that the way to the cluster starts from",
    )
    ray_address: str = Field(
        "",
        validation_alias="RAY_ADDRESS",
        description="host:port of the Ray cluster's head, for the engine ray",
    )
    grace_seconds: float = Field(
        15.0, ge=0.0, le=600.0, description="Time a cancelled run has to end by itself"
    )
    max_body_bytes: int = Field(1_048_576, ge=1024, description="Largest request body")
    changes_a_minute: int = Field(
        1200,
        ge=0,
        description="Calls that change something, for each token; one more gets 429; 0 for any number",
    )
    min_free_disk_mb: int = Field(
        200, ge=0, description="Below this /readyz says the disk is full and submits get 503"
    )
    collective_seconds: float = Field(
        120.0,
        ge=5.0,
        description="How long a worker of a run may wait for the others (`resources.workers`) before the run fails; LightGBM takes it in whole minutes",
    )
    tracking_patience_seconds: float = Field(
        3600.0,
        ge=1.0,
        description="How long a run that has trained waits for MLflow before it fails",
    )
    keep_work_days: float = Field(
        7.0, ge=0.0, description="Work directories of ended runs are removed after this"
    )
    log_limit_mb: int = Field(
        100,
        ge=1,
        description="Largest training.log of a run; of a longer one the beginning and the end are kept",
    )
    tracking_uri: str = Field(
        "http://127.0.0.1:5000",
        validation_alias="MLFLOW_TRACKING_URI",
        description="The MLflow server",
    )
    mlflow_ui_url: str | None = Field(
        None, description="MLflow's address for people, in links; MLFLOW_TRACKING_URI by default"
    )
    git_commit: str = Field("unknown", description="Commit the image was built from")
    _service: Service | None = PrivateAttr(default=None)

    @field_validator("data_roots", "output_roots", mode="before")
    @classmethod
    def _split_roots(cls, value: Any) -> Any:
        return (
            tuple(Path(part) for part in value.split(os.pathsep) if part)
            if isinstance(value, str)
            else value
        )

    @field_validator("s3_buckets", "output_buckets", "gpus", mode="before")
    @classmethod
    def _split_buckets(cls, value: Any) -> Any:
        return (
            tuple(part.strip() for part in value.split(",") if part.strip())
            if isinstance(value, str)
            else value
        )

    @field_validator("quotas", mode="before")
    @classmethod
    def _split_quotas(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        for team, _, slots in pairs:
            if not (team.strip() and slots.strip().isdecimal() and int(slots)):
                message = f"TRAINYARD_QUOTAS: {team!r} has no number of slots, which is 1 or more; write team=2, with commas between"
                raise ValueError(message)
        return tuple((team.strip(), int(slots)) for team, _, slots in pairs)

    @model_validator(mode="after")
    def _token_file_holds_a_token(self) -> Self:
        if self.token_file == Path() and not self.token:
            message = "TRAINYARD_TOKEN_FILE is set and names no file: name one, or unset it"
            raise ValueError(message)
        if self.token_file is not None and not self.secret:
            message = f"TRAINYARD_TOKEN_FILE: {self.token_file} is empty; write the token into it, or unset the variable"
            raise ValueError(message)
        return self

    @field_validator("notify_secret", mode="after")
    @classmethod
    def _a_signing_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is None or not secret.get_secret_value():
            return None
        signing_key(secret.get_secret_value())
        return secret

    @model_validator(mode="after")
    def _messages_are_signed(self) -> Self:
        if self.notify_hosts and self.notify_secret is None:
            message = "TRAINYARD_NOTIFY_HOSTS is set and TRAINYARD_NOTIFY_SECRET is not: messages are signed with it, so that whoever gets them knows whose they are"
            raise ValueError(message)
        return self

    @field_validator("engine", mode="before")
    @classmethod
    def _local_where_it_is_empty(cls, value: Any) -> Any:
        return value or Engine.LOCAL  # as Compose hands on what nobody has set

    @field_validator("checkpoints", mode="after")
    @classmethod
    def _a_place_for_checkpoints(cls, place: str) -> str:
        bucket = place.removeprefix("s3://").strip("/") if place.startswith("s3://") else ""
        if place and not (bucket or Path(place).is_absolute()):
            message = f"TRAINYARD_CHECKPOINTS is {place!r}: name a folder by its whole path, from /, or s3://bucket/folder"
            raise ValueError(message)
        return place

    @model_validator(mode="after")
    def _an_engine_has_an_address(self) -> Self:
        if self.engine is Engine.RAY and not self.ray_address:
            message = "TRAINYARD_ENGINE is ray and RAY_ADDRESS is not set: name the host:port of the cluster's head"
            raise ValueError(message)
        return self

    @field_validator("tokens_file", "connections_file", mode="before")
    @classmethod
    def _no_file_where_it_is_empty(cls, value: Any) -> Any:
        return None if value == "" else value  # as Compose hands on what nobody has set

    @model_validator(mode="after")
    def _tokens_file_holds_tokens(self) -> Self:
        if self.tokens_file is not None:
            try:
                read_tokens(self.tokens_file)
            except ServiceError as error:
                raise ValueError(error.detail) from error
        return self

    @model_validator(mode="after")
    def _connections_file_names_connections(self) -> Self:
        if self.connections_file is not None:
            try:
                read_connections(self.connections_file)
            except ServiceError as error:
                raise ValueError(error.detail) from error
        return self

    @model_validator(mode="after")
    def _closed_unless_token(self) -> Self:
        if self.host not in LOOPBACK and not self.closed:
            message = f"TRAINYARD_HOST is {self.host!r}, which others can reach: set TRAINYARD_TOKEN or TRAINYARD_TOKEN_FILE, or TRAINYARD_TOKENS_FILE, or listen on 127.0.0.1"
            raise ValueError(message)
        return self

    @cached_property
    def secret(self) -> str | None:
        """The token, from the variable or else the file; None where neither is set."""
        if self.token and self.token.get_secret_value():
            return self.token.get_secret_value()
        if self.token_file is None:
            return None
        try:
            return self.token_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            message = f"TRAINYARD_TOKEN_FILE cannot be read: {error}"
            raise ValueError(message) from error

    @property
    def closed(self) -> bool:
        """Whether a call needs a token."""
        return bool(self.secret) or self.tokens_file is not None

    @cached_property
    def shared_secret(self) -> str | None:
        """What services that know each other share: the one token, or else a secret of the file of tokens."""
        if self.secret or self.tokens_file is None:
            return self.secret
        return read_tokens(self.tokens_file).services

    @cached_property
    def notify_key(self) -> bytes | None:
        """What messages are signed with; None where nobody may be told of runs."""
        return signing_key(self.notify_secret.get_secret_value()) if self.notify_secret else None

    @property
    def own_hosts(self) -> frozenset[str]:
        """Names that services are called by, as where it listens and `services` tell them."""
        named = {urlsplit(url).hostname or "" for _, url in self.services}
        return frozenset(filter(None, {*named, self.host}))

    def audit_dir(self, instance: str) -> Path:
        """Where what people did is kept."""
        return self.work_dir.resolve() / "audit" / instance

    @property
    def locks(self) -> Path:
        """Where promotions of one registered model take turns."""
        return (self.locks_dir or self.work_dir / "locks").resolve()

    @cached_property
    def gpus_there(self) -> tuple[str, ...]:
        """The GPUs that runs can be given. Raises `ServiceError` where the driver cannot tell."""
        return gpus_there(self.gpus)

    @cached_property
    def cpus_there(self) -> int:
        """The CPUs that runs can be given: `threads`, or what the affinity or the container's CPU quota leave."""
        return self.threads or cpus_there()

    @property
    def runs_at_once(self) -> int:
        """The slots."""
        return self.slots or max(1, min(64, len(self.gpus_there)))

    @property
    def rows_dir(self) -> Path:
        """Where answers to queries are kept."""
        return self.work_dir.resolve() / "rows"

    @property
    def threads_a_slot(self) -> int:
        """CPU threads a run may use, at least 1: the slot's share of the CPUs."""
        return max(1, self.cpus_there // self.runs_at_once)

    def of(self, service: Service) -> Self:
        """These, of a service whose libraries take memory beside data."""
        settings = self.model_copy()
        settings._service = service  # noqa: SLF001 - of this class
        return settings

    def left_for_data(self, limit_mb: int) -> int:
        """What a run's data may take where the run may use so much, of memory that this machine or container has.

        A run is counted with its share of what it has in common with the process that it is forked from and the next
        run's, which waits there: half, at most.
        """
        if self._service is None:
            return limit_mb
        own, shared = self._service.own_mb, self._service.shared_mb
        left = min(limit_mb - shared // 2, self._beside_libraries) - own
        return min(limit_mb, max(left, LEAST_MB))

    @property
    def memory_for_data_mb(self) -> int:
        """What the data of a run that asks for no memory may take."""
        limit_mb = self.run_memory_mb or self.memory_mb
        if limit_mb or self._service is None:
            return self.left_for_data(limit_mb or available_mb() // self.runs_at_once)
        share = self._beside_libraries // self.runs_at_once
        return max(share - self._service.own_mb, LEAST_MB)

    @property
    def _beside_libraries(self) -> int:
        """Of the memory that there is, what neither the service nor the process that runs are forked from takes."""
        assert self._service is not None
        return available_mb() - SERVICE_MB - self._service.shared_mb

    @property
    def data_access(self) -> DataAccess:
        """Where data may come from."""
        return DataAccess(
            roots=tuple(root.resolve() for root in self.data_roots),
            data_dir=self.data_dir.resolve(),
            http_hosts=self.http_hosts,
            s3_endpoint=self.s3_endpoint,
            s3_buckets=self.s3_buckets,
            output_roots=tuple(root.resolve() for root in self.output_roots),
            output_buckets=self.output_buckets,
            connections_file=self.connections_file and self.connections_file.resolve(),
            rows_dir=self.rows_dir,
            query_seconds=self.query_seconds,
            memory_mb=self.memory_for_data_mb,
        )


def signing_key(secret: str) -> bytes:
    """The key that a secret in the form of Standard Webhooks stands for. Raises ValueError for another form."""
    try:
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not (secret.startswith("whsec_") and 24 <= len(key) <= 64):
        message = 'TRAINYARD_NOTIFY_SECRET should be whsec_ and 24 to 64 random bytes in base64; `echo "whsec_$(openssl rand -base64 32)"` makes one'
        raise ValueError(message)
    return key
