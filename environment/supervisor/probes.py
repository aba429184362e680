"""Probes of one replica, with short time limits: whether it is ready, and whether it takes a fault."""

import http.client
import io
import json
import socket
import struct
from collections.abc import Mapping
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from environment.errors import LabError
from environment.states import Points

# Connecting to the address of a dead container takes 3 s without a limit (measured).
CONNECT_SECONDS = 0.3
ANSWER_SECONDS = 2.0

NGINX_READY = "/nginx-ready"
"""A worker of nginx answers this itself. The master listens earlier, and a signal would then end it."""


def http_request(
    url: str, method: str, path: str, *, body: Any = None, token: str = ""
) -> tuple[int, str]:
    """Send one request and return status and text. Raises `OSError` or `http.client.HTTPException`."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(
        str(address.hostname), address.port, timeout=CONNECT_SECONDS
    )
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_SECONDS)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")
    finally:
        connection.close()


def probe(url: str, evidence: str, password: str = "") -> tuple[bool, str]:
    """Return whether a replica is ready by its `x-lab` evidence, and what was found.

    `password` is that of the stores.
    """
    kind, _, path = evidence.partition(" ")
    address = urlsplit(url)
    try:
        if kind == "kafka":
            return _broker_advertises(address.netloc)
        if kind in ("tcp", "valkey", "postgres"):
            with socket.create_connection((address.hostname, address.port), CONNECT_SECONDS) as it:
                if kind == "postgres":
                    return _asks_for_password(it)
                return (True, "connected") if kind == "tcp" else _ping(it, password)
        status, text = http_request(url, "GET", NGINX_READY if kind == "nginx" else path)
        return status == 200, f"status {status} {explanation(text)}".strip()
    except (OSError, http.client.HTTPException) as error:
        return False, str(error) or type(error).__name__


def _ping(connection: socket.socket, password: str) -> tuple[bool, str]:
    """Ping Valkey: it accepts connections while it still reads its file, and answers PING only afterwards.

    It has to ask for the password as well: a client that sends one gets an error where none is set.
    """
    connection.settimeout(ANSWER_SECONDS)
    expected = [b"+OK", b"+PONG"] if password else [b"+PONG"]
    connection.sendall((f"AUTH {password}\r\n" if password else "").encode() + b"PING\r\n")
    with connection.makefile("rb") as answer:
        for line in expected:
            response = answer.readline(1000).strip()
            if response != line:
                break
    return response == b"+PONG", response.decode(errors="replace")


def _asks_for_password(connection: socket.socket) -> tuple[bool, str]:
    """Return whether PostgreSQL asks a client for its password: while it starts or recovers it answers with an error.

    The bytes are those of a StartupMessage, version 3.0 (PostgreSQL's "Message Formats"). The answer begins with `R`
    and, behind its length, 10 for a password that is not sent in the clear.
    """
    connection.settimeout(ANSWER_SECONDS)
    body = struct.pack(">i", 3 << 16) + b"user\0postgres\0database\0postgres\0\0"
    connection.sendall(struct.pack(">i", len(body) + 4) + body)
    with connection.makefile("rb") as answer:
        kind, length = struct.unpack(">ci", _exactly(answer, 5))
        text = _exactly(answer, min(max(length - 4, 0), 1000))
    if kind == b"R":
        asks = text[:4] == struct.pack(">i", 10)
        return asks, "asks for a password" if asks else "lets anyone in, without a password"
    fields = {field[:1]: field[1:].decode(errors="replace") for field in text.split(b"\0")}
    return False, fields.get(b"M", "an answer that is not PostgreSQL's")


def _broker_advertises(address: str) -> tuple[bool, str]:
    """Return whether a Kafka broker advertises `address` to clients, and the addresses that it advertises.

    It accepts connections a little earlier than it leads any partition, and then names no broker. The bytes
    are those of a Metadata request, version 1, about no topic (Kafka's protocol guide, "Metadata API").
    """
    host, _, port = address.rpartition(":")
    request = struct.pack(">hhih", 3, 1, 0, -1) + struct.pack(">i", 0)
    with socket.create_connection((host, int(port)), CONNECT_SECONDS) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.sendall(struct.pack(">i", len(request)) + request)
        with connection.makefile("rb") as answer:
            (size,) = struct.unpack(">i", _exactly(answer, 4))
            body = io.BytesIO(_exactly(answer, size))
    _, brokers = struct.unpack(">ii", _exactly(body, 8))
    advertised = []
    for _ in range(brokers):
        _, length = struct.unpack(">ih", _exactly(body, 6))
        name = _exactly(body, length).decode(errors="replace")
        broker_port, rack = struct.unpack(">ih", _exactly(body, 6))
        _exactly(body, max(0, rack))
        advertised.append(f"{name}:{broker_port}")
    return address in advertised, f"brokers: {', '.join(advertised) or 'none'}"


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise ConnectionError("the answer broke off")
    return content


def explanation(text: str) -> str:
    """Return what a response explains: the detail of a problem document, else the beginning of its text."""
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, TypeError, LookupError):
        return text[:200]


def put_fault(url: str, fault: Mapping[str, Any], token: str) -> None:
    """Set the faults of one replica (`{}` heals it). Raises `LabError` when it does not take them."""
    try:
        status, text = http_request(url, "PUT", "/faults", body=fault, token=token)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(
            f"{url} did not take the fault {fault}: {error}. "
            "Does it run? `lab ps` shows it; a replica that is down cannot be slowed."
        ) from error
    if status >= 300:
        raise LabError(
            f"{url} refused the fault {fault}: status {status}: {explanation(text)[:500]}"
        )


def get_points(url: str, token: str) -> Points:
    """Return what passed the points of one replica, and what is held there.

    Raises:
        LabError: It does not answer, or it exchanges no events.
    """
    try:
        status, text = http_request(url, "GET", "/faults", token=token)
    except (OSError, http.client.HTTPException) as error:
        raise LabError(f"{url} did not report its points: {error}. `lab ps` shows it.") from error
    report = json.loads(text) if status == 200 else {}
    if "passed" not in report:
        raise LabError(f"{url} has no points to report (status {status}): it exchanges no events.")
    return {"passed": report["passed"], "held": report["held"]}
