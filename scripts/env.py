"""`make env`: makes .env from .env.example with random secrets; what an .env has already stays."""

import base64
import os
import re
import secrets
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOCKET = Path("/var/run/docker.sock")
SECRETS = (
    "TRAINYARD_TOKEN",
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "REDIS_PASSWORD",
    "AIRFLOW_API_SECRET",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_ADMIN_PASSWORD",
    "RAY_AUTH_TOKEN",
)


def main() -> None:
    """Write .env, readable by its owner alone."""
    file = ROOT / ".env"
    there = file.read_text() if file.exists() else (ROOT / ".env.example").read_text()
    text = there
    for name, value in (made() | group()).items():
        text = filled(text, name, value)
    if not file.exists():
        text = re.sub(r"^(\w+_CPUS)=(\d+)$", fitting, text, flags=re.MULTILINE)
    if file.exists() and text == there:
        print(".env is complete; nothing changed.")
        return
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
    file.chmod(0o600)
    print("Wrote .env with random secrets; keep it, and keep it to yourself.")


def made() -> dict[str, str]:
    """A random value for each secret; hexadecimal, so that it stands in addresses as it is."""
    fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return {name: secrets.token_hex(24) for name in SECRETS} | {"AIRFLOW_FERNET_KEY": fernet}


def fitting(limit: re.Match[str]) -> str:
    """The limit, cut to the processors that there are: Docker refuses more."""
    return f"{limit[1]}={min(int(limit[2]), os.cpu_count() or 1)}"


def group() -> dict[str, str]:
    """The Docker socket's group, where there is one."""
    return {"DOCKER_GROUP": str(SOCKET.stat().st_gid)} if SOCKET.exists() else {}


def filled(text: str, name: str, value: str) -> str:
    """The text with the variable set where it is empty or missing."""
    if re.search(rf"^{name}=.+$", text, flags=re.MULTILINE):
        return text
    text, count = re.subn(rf"^{name}=$", f"{name}={value}", text, flags=re.MULTILINE)
    return text if count else f"{text.rstrip()}\n{name}={value}\n"


if __name__ == "__main__":
    main()
