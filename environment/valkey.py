"""Valkey's password: each session has its own, so that no other user of this machine reads or changes its state.

It goes into a file that only Valkey's own user may read, and into the address that the gateway receives: never into a
command line, which every user can list. Plain Compose has no such file, and Valkey no password there.
"""

VALKEY = "valkey"

_FILE = "/data/password.conf"  # docker-compose.yml includes it, if it is there


def password_file(password: str) -> dict[str, bytes]:
    """Return the file (path and content) that makes Valkey ask for a password."""
    return {_FILE: f"requirepass {password}\n".encode()}


def with_password(url: str, password: str) -> str:
    """Return the address of the session's Valkey with its password; any other setting as it is."""
    bare = f"valkey://{VALKEY}:"
    return url.replace(bare, f"valkey://:{password}@{VALKEY}:", 1) if url.startswith(bare) else url
