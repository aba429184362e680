"""The password of the stores: each session has its own, so that no other user of this machine reads its state.

It goes into a file that only the store's own user may read, and into the addresses that services receive: never into a
command line, which every user can list. Plain Compose has no such file, and the stores no password there.
"""

import re

VALKEY, POSTGRES = "valkey", "postgres"

_FILE = "/data/password.conf"
_CONTENTS = {VALKEY: "requirepass {}\n", POSTGRES: "{}\n"}
"""What the file of each store holds: Valkey includes it (docker-compose.yml), `environment/postgres/` reads it."""

_BARE = re.compile(rf"(valkey|postgresql)://({VALKEY}|{POSTGRES}):")
"""The beginning of the address of a session's own store, which has no password yet."""


def password_file(store: str, password: str) -> dict[str, bytes]:
    """Return the file (path and content) that makes a store ask for a password; nothing for any other service."""
    return {_FILE: _CONTENTS[store].format(password).encode()} if store in _CONTENTS else {}


def with_password(url: str, password: str) -> str:
    """Return the address of a store of the session with its password; any other setting as it is."""
    return _BARE.sub(rf"\1://:{password}@\2:", url) if _BARE.match(url) else url
