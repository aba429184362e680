"""Asks a replica over HTTP, with short limits, as often as needed: is it ready, and does it take this fault?"""

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlsplit

from environment.errors import LabError

# Connecting to the address of a dead container takes 3 s when nobody sets a limit (measured).
CONNECT_SECONDS = 0.3
ANSWER_SECONDS = 2.0


def http_request(
    url: str, method: str, path: str, *, body: Any = None, token: str = ""
) -> tuple[int, str]:
    """Sends one request and returns status and text. Raises `OSError` or `http.client.HTTPException`."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=CONNECT_SECONDS
    )
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        connection.close()


def probe(url: str, evidence: str) -> tuple[bool, str]:
    """Whether a replica is ready by its `x-lab` evidence (`http PATH`, `tcp` or `valkey`), and what was found."""
    kind, _, path = evidence.partition(" ")
    address = urlsplit(url)
    try:
        if kind != "http":
            with socket.create_connection((address.hostname, address.port), CONNECT_SECONDS) as it:
                return (True, "connected") if kind == "tcp" else _ping(it)
        status, text = http_request(url, "GET", path)
        return status == 200, f"status {status} {text[:200]}".strip()
    except (OSError, http.client.HTTPException) as error:
        return False, str(error) or type(error).__name__


def _ping(connection: socket.socket) -> tuple[bool, str]:
    """Valkey accepts connections while it still reads its file, and answers PING only afterwards."""
    connection.settimeout(ANSWER_SECONDS)
    connection.sendall(b"PING\r\n")
    said = connection.recv(100).decode(errors="replace").strip()
    return said == "+PONG", said


def put_fault(url: str, fault: dict[str, Any], token: str) -> None:
    """Sets the faults of one replica (`{}` heals it). Raises `LabError` when it does not take them."""
    try:
        status, text = http_request(url, "PUT", "/faults", body=fault, token=token)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(
            f"{url} did not take the fault {fault}: {error}. "
            "Does it run? `lab ps` tells; a replica that is down cannot be slowed."
        ) from error
    if status >= 300:
        raise LabError(f"{url} refused the fault {fault}: status {status}: {text[:500]}")
