"""What a service does below its application: framing, limits, time, and answers that arrive."""

import json
import socket
import time
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest

from environment.waiting import wait_until
from microservices.kit.http.protocol import MAX_HEADERS
from tests.microservices.conftest import Start
from tests.microservices.running import Running
from tests.wire import (
    CLOSING,
    OFFER,
    Answer,
    answers,
    drop,
    exchange,
    read_all,
    request,
)

CHUNKED = "Transfer-Encoding: chunked"
JSON = "Content-Type: application/json"
PROTOCOL = "microservices.kit.http.protocol"
TIMES = [f"{PROTOCOL}.{name}_SECONDS" for name in ("HEAD", "BODY", "SEND")]


def payment_of(amount: float) -> tuple[str, bytes]:
    """Return a new order's id, and the body that pays for it."""
    order_id = str(uuid4())
    return order_id, json.dumps({"orderId": order_id, "amount": amount}).encode()


def chunked(body: bytes, *headers: str, trailer: str = "") -> bytes:
    """Return a payment whose body comes in chunks of one byte."""
    head = request("POST", "/pay", None, CHUNKED, JSON, *headers)
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    return head + pieces + f"0\r\n{trailer}\r\n".encode()


class TestUpgrades:
    """An offer of another protocol is ignored, and the body is read."""

    @pytest.mark.parametrize("name", ["payment", "payment2", "gateway"])
    @pytest.mark.parametrize("segments", ["one", "two", "many"])
    def test_a_payment_that_offers_http2_is_charged_what_it_names(
        self, shared: dict[str, Running], name: str, segments: str
    ) -> None:
        order_id, body = payment_of(77)
        path = "/api/pay" if name == "gateway" else "/pay"
        whole = request("POST", path, body, *OFFER)
        head = whole[: -len(body)]
        parts = {"one": [whole], "two": [head, body], "many": [head[:40], head[40:], body[:9]]}
        sent = parts[segments] + ([body[9:]] if segments == "many" else [])
        paid, health = exchange(shared[name].port, *sent, CLOSING)
        assert paid.status == 200
        document = json.loads(paid.body)
        assert (document["orderId"], document["amount"]) == (order_id, 77)
        assert health.status == 200  # the body was no part of the next request

    @pytest.mark.parametrize("offered", ["h2c", "websocket", "TLS/1.0, irc/6.9"])
    def test_a_chunked_body_after_an_offer_is_read(self, payment: Running, offered: str) -> None:
        order_id, body = payment_of(5)
        whole = chunked(body, f"Upgrade: {offered}", "Connection: upgrade")
        paid, health = exchange(payment.port, whole + CLOSING)
        assert json.loads(paid.body)["orderId"] == order_id
        assert health.status == 200

    def test_many_offers_on_one_connection_are_all_ignored(self, payment: Running) -> None:
        offers = request("GET", "/health", None, *OFFER) * 300
        assert [each.status for each in exchange(payment.port, offers + CLOSING)] == [200] * 301

    def test_an_order_that_offers_http2_is_the_order_it_names(self, order: Running) -> None:
        item = {"productId": "prod-1", "quantity": 2, "price": 19.99}
        body = json.dumps({"userId": "java", "items": [item]}).encode()
        made, _ = exchange(order.port, request("POST", "/orders", body, *OFFER), CLOSING)
        assert (made.status, json.loads(made.body)["total"]) == (201, 39.98)


MALFORMED = {
    "no method": b"GARBAGE\r\n\r\n",
    "an unknown method": request("FOO", "/pay", b"{}"),
    "an unknown method with a long body": request("FOO", "/pay", b" " * 900_000),
    "CONNECT": request("CONNECT", "x:1"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "bytes in the target": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character": request("GET", "/health", None, "X: a\x01b"),
    "two lengths": request("POST", "/pay", b"{}", "Content-Length: 2"),
    "a length and chunks": request("POST", "/pay", b"{}", CHUNKED),
    "an unknown coding": request("POST", "/pay", None, "Transfer-Encoding: gzip"),
    "a coding before the chunks": request("POST", "/pay", None, "Transfer-Encoding: gzip, chunked")
    + b"2\r\n{}\r\n0\r\n\r\n",
    "a chunk without a size": request("POST", "/pay", None, CHUNKED) + b"zz\r\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_request_gets_a_problem(payment: Running, kind: str) -> None:
    for _ in range(3):
        (answer,) = exchange(payment.port, MALFORMED[kind])
        assert answer.status == 400
        assert answer.problem["detail"]
        assert answer.headers["connection"] == "close"


LIMITS: dict[str, tuple[int, list[bytes]]] = {
    "a target": (414, [b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"]),
    "a target without an end": (414, [b"GET /" + b"a" * 9_000, *[b"a" * 9_000] * 3]),
    "a header": (431, [request("GET", "/health", None, "X: " + "a" * 9_000)]),
    "many headers": (431, [request("GET", "/health", None, *["X: 1"] * (MAX_HEADERS + 1))]),
    "a head": (431, [request("GET", "/health", None, *["X: " + "a" * 8_000] * 5)]),
    "a head without an end": (431, [b"GET / HTTP/1.1\r\n", *[b"X: " + b"a" * 8_000 + b"\r\n"] * 5]),
    "a header without an end": (431, [b"GET / HTTP/1.1\r\nX: ", *[b"a" * 9_000] * 4]),
    "trailers": (
        431,
        [
            request("POST", "/pay", None, CHUNKED, JSON) + b"2\r\n{}\r\n0\r\n",
            *[b"X: " + b"a" * 8_000 + b"\r\n"] * 5,
        ],
    ),
    "the extension of a chunk": (
        431,
        [request("POST", "/pay", None, CHUNKED) + b"2;", *[b"a" * 9_000] * 4],
    ),
    "empty lines": (431, [b"\r\n" * 5_000] * 4),
}


@pytest.mark.parametrize("kind", LIMITS)
def test_what_is_over_a_limit_gets_a_problem(payment: Running, kind: str) -> None:
    status, segments = LIMITS[kind]
    (answer,) = exchange(payment.port, *segments)
    assert answer.status == status
    assert "bytes" in answer.problem["detail"] or "headers" in answer.problem["detail"]


def test_a_head_up_to_the_limit_is_read(payment: Running) -> None:
    headers = ["X: " + "a" * 8_000] * 3 + ["X: 1"] * (MAX_HEADERS - 5)
    (answer,) = exchange(
        payment.port, request("GET", "/health", None, *headers, "Connection: close")
    )
    assert answer.status == 200


def test_trailers_are_no_headers(payment: Running) -> None:
    order_id, body = payment_of(5)
    trailer = "Content-Encoding: gzip\r\nX-Correlation-Id: forged\r\n"
    paid, _ = exchange(payment.port, chunked(body, trailer=trailer) + CLOSING)
    assert json.loads(paid.body)["orderId"] == order_id
    assert paid.headers["x-correlation-id"] != "forged"


@pytest.mark.parametrize("before", [1, 3])
@pytest.mark.parametrize("kind", ["no method", "a chunk without a size"])
def test_garbage_after_requests_costs_none_of_their_answers(
    slow: Running, before: int, kind: str
) -> None:
    bodies = [payment_of(5) for _ in range(before)]
    sent = b"".join(request("POST", "/pay", body) for _, body in bodies)
    *paid, refused = exchange(slow.port, sent + MALFORMED[kind])
    assert [json.loads(each.body)["orderId"] for each in paid] == [id for id, _ in bodies]
    assert refused.problem["status"] == 400


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A payment-service whose clients have two seconds, and whose payments take a moment."""
    data = tmp_path_factory.mktemp("slow")
    running = Running(
        "payment-service", data=data, constants=dict.fromkeys(TIMES, 2), PAYMENT_SECONDS=0.2
    )
    try:
        yield running.wait_ready()
    finally:
        running.close()


class TestTime:
    """A client that does not go on is let go."""

    def test_half_open_connections_do_not_stay(self, slow: Running) -> None:
        begun = [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: x\r\n", b"\r\n"]
        connections = [
            socket.create_connection(("127.0.0.1", slow.port), timeout=10) for _ in range(200)
        ]
        began = time.monotonic()
        for number, each in enumerate(connections):
            each.sendall(begun[number % 4])
        try:
            received = [read_all(each) for each in connections]
        finally:
            drop(connections)
        assert 1 < time.monotonic() - began < 8
        assert received[0] == b""  # nothing was asked, and so nothing is answered
        assert {text[:12] for text in received[1::4] + received[2::4]} == {b"HTTP/1.1 408"}
        assert slow.http.get("/health").status_code == 200

    def test_a_head_that_comes_byte_by_byte_has_no_longer(self, slow: Running) -> None:
        head = request("GET", "/health", None, "Connection: close") + b" " * 100
        assert self.drip(slow, b"", head).problem["status"] == 408

    def test_a_head_after_an_answer_has_no_longer(self, slow: Running) -> None:
        first = request("GET", "/health")
        assert self.drip(slow, first, b"GET /health HTTP/1.1\r\n" + b"x" * 100).status == 408

    def test_a_body_that_comes_byte_by_byte_has_no_longer(self, slow: Running) -> None:
        before = slow.http.get("/ledger").json()
        head = request("POST", "/pay", None, JSON, "Content-Length: 1000")
        assert self.drip(slow, head, b" " * 1000).problem["status"] == 408
        assert slow.http.get("/ledger").json() == before

    def drip(self, slow: Running, first: bytes, rest: bytes) -> Answer:
        """Send `rest` at ten bytes per second; return the last answer."""
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", slow.port), timeout=0.1) as client:
            client.sendall(first)
            received = b""
            for byte in rest:
                try:
                    client.sendall(bytes([byte]))
                    more = client.recv(65536)
                except TimeoutError:
                    continue
                received += more
                if not more or b"HTTP/1.1 408" in received:
                    break
        assert time.monotonic() - began < 6
        return answers(received)[-1]

    def test_a_client_that_reads_nothing_does_not_stay(self, slow: Running) -> None:
        script = request("GET", "/static-offline-docs/swagger-ui-bundle.js")
        process = psutil.Process(slow.process.pid)

        def connected() -> bool:
            ports = [each.raddr.port for each in process.net_connections() if each.raddr]
            return client.getsockname()[1] in ports

        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", slow.port))
            client.sendall(script * 20)  # some 30 MB of answers: more than sockets hold
            assert wait_until(connected, timeout=5)
            assert wait_until(lambda: not connected(), timeout=10)

    def test_an_answer_that_takes_longer_than_a_client_may_is_waited_for(
        self, start: Start
    ) -> None:
        times = dict.fromkeys(TIMES, 1)
        patient = start("payment-service", constants=times, PAYMENT_SECONDS=3.5)
        assert patient.http.post("/pay", json={"amount": 5}).status_code == 200


class TestHead:
    """HEAD is GET without a body."""

    @pytest.mark.parametrize(
        ("name", "path"),
        [
            *(("order", path) for path in ("/orders", "/health", "/ready", "/metrics", "/docs")),
            *(("gateway", f"/api/{path}") for path in ("users", "orders", "dashboard", "count")),
            ("payment", "/ledger"),
        ],
    )
    def test_head_has_the_headers_of_get(
        self, shared: dict[str, Running], name: str, path: str
    ) -> None:
        head, get = shared[name].http.head(path), shared[name].http.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == get.headers["content-type"]
        if path not in ("/metrics", "/api/count"):
            assert head.headers["content-length"] == str(len(get.content))

    def test_head_where_there_is_no_get_is_a_405(self, payment: Running) -> None:
        answer = payment.http.head("/pay")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")

    def test_a_connection_goes_on_after_head(self, order: Running) -> None:
        sent = request("HEAD", "/health") + request("HEAD", "/nowhere")
        with socket.create_connection(("127.0.0.1", order.port), timeout=10) as client:
            client.sendall(sent + CLOSING)
            received = read_all(client)
        statuses = [line.split()[1] for line in received.split(b"\r\n") if b"HTTP/1.1 " in line]
        assert statuses == [b"200", b"404", b"200"]
        assert received.count(b'"status"') == 1

    def test_head_is_counted_by_its_route(self, order: Running) -> None:
        line = 'http_requests_total{method="HEAD",route="/orders/{id}",status="404"} 1.0'
        order.http.head("/orders/nobody")
        assert line in order.http.get("/metrics").text
