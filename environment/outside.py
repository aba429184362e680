"""The variables by which programs reach the network outside this machine: proxies, certificates, credentials.

The course itself talks on loopback only. There these variables do harm: httpx, requests and urllib read them for every
client, whatever the address, and a proxy that is elsewhere, a certificate file that is gone or a proxy of a kind that
is not installed ends the first request. `import environment` therefore sets them aside, in this process and in all
that it starts. A download takes them back, for as long as it lasts: `with outside():`.
"""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SET_ASIDE = "LAB_OUTSIDE"
"""The variable that holds the others, as JSON, so that a child process can take them back."""

FILES = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    *("OPENSSL_CONF", "OPENSSL_MODULES", "OPENSSL_ENGINES", "NETRC"),
)
"""Variables that name a file or folder which is read for a connection."""

_OTHERS = {*FILES, "SSLKEYLOGFILE", "SSL_VERSION", "SSL_CIPHERS"}

_NO_PROXY = {"NO_PROXY": "*", "no_proxy": "*"}
"""Without these, macOS gives the proxies of its settings to every program that finds none in its variables."""

_changing = threading.RLock()


def is_outside(name: str) -> bool:
    """Return whether a variable says how to reach the network outside; urllib reads every `..._proxy`."""
    return name.lower().endswith("_proxy") or name.upper() in _OTHERS


def inside(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a process that talks on loopback: those of the network outside are set aside."""
    known = SET_ASIDE in variables
    kept = {
        name: value
        for name, value in variables.items()
        if is_outside(name) and not (known and _NO_PROXY.get(name) == value)
    }
    others = {name: value for name, value in variables.items() if not is_outside(name)}
    aside = json.dumps({**set_aside_in(variables), **kept})
    return others | _NO_PROXY | {SET_ASIDE: aside}


def back_outside(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for a program that downloads: undo `inside`."""
    others = {name: value for name, value in inside(variables).items() if not is_outside(name)}
    del others[SET_ASIDE]
    return others | set_aside_in(inside(variables))


def set_aside_in(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that were set aside, by name."""
    try:
        kept = json.loads(variables.get(SET_ASIDE, "{}"))
        return {str(name): str(value) for name, value in kept.items() if is_outside(name)}
    except (ValueError, AttributeError):  # not written by `inside`
        return {}


def set_aside() -> None:
    """Set the variables of this process aside."""
    with _changing:
        _replace(inside(os.environ))


@contextmanager
def outside() -> Iterator[None]:
    """Surround a download in this process: the variables that were set aside are back. One block at a time."""
    with _changing:
        before = inside(os.environ)
        _replace(back_outside(before))
        try:
            yield
        finally:
            _replace(before)


def _replace(variables: Mapping[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    for name in variables:
        if os.environ.get(name) != variables[name]:
            os.environ[name] = variables[name]
