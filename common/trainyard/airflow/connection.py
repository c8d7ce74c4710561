"""Where a service is: an Airflow HTTP connection, with the token as its password."""

from typing import Any, NamedTuple


class Address(NamedTuple):
    """A service as an HTTP connection names it."""

    url: str
    token: str | None


def address(connection: Any) -> Address:
    """Read as Airflow's own HttpHook does: `host` may be a whole address, else `schema` comes before it."""
    host = connection.host or ""
    url = host if "://" in host else f"{connection.schema or 'http'}://{host}"
    if connection.port:
        url = f"{url.rstrip('/')}:{connection.port}"
    return Address(url, connection.password or None)


def find(conn_id: str) -> Address:
    """The service of this connection, from a task."""
    from airflow.sdk import BaseHook

    return address(BaseHook.get_connection(conn_id))


async def find_async(conn_id: str) -> Address:
    """The service of this connection, from a trigger."""
    from airflow.sdk import BaseHook

    return address(await BaseHook.aget_connection(conn_id))
