"""Addresses as they may be shown and kept: without a query, a fragment, a user or a password.

A signed address carries its signature in the query, so whoever reads it there can read the data.
"""

import re
from pathlib import PurePosixPath

ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:/+)(?P<rest>.*)", re.DOTALL)
HOST = re.compile(r"(?:[^@]*@)?(?P<shown>(?:\[[0-9A-Fa-f:.]+\]|[^:@\[\]\s]+)(?::\d*)?)")

GIVES_ACCESS = re.compile(
    r"(?P<name>[?&](?:x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid|signature|sig|token|access_token|api_key|password)=)[^&\s\"'<>]+",
    re.IGNORECASE,
)


def without_access(text: str) -> str:
    """Any text, with `…` in place of what gives access in the queries of the addresses in it."""
    return GIVES_ACCESS.sub(r"\g<name>…", text)


def redacted(uri: str) -> str:
    """`uri` for messages, logs and records; a path is returned as it is.

    Where the part between `//` and the next `/`, `?` or `#` is not a host, a password may reach beyond it, and
    nothing but the scheme is shown.
    """
    address = ADDRESS.fullmatch(uri)
    if address is None:
        return uri
    scheme = address["scheme"]
    before_query = re.split(r"[?#]", address["rest"], maxsplit=1)[0]
    host, slash, path = before_query.partition("/")
    shown = HOST.fullmatch(host)
    return f"{scheme}{shown['shown']}{slash}{path}" if shown else f"{scheme}…"


def file_name(uri: str) -> str:
    """The last part of a path or of an address's path: what a data set is called."""
    return PurePosixPath(redacted(uri)).name or redacted(uri)
