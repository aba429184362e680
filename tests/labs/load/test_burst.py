"""A burst: sent in order, with the time of each response, and status 0 without one."""

import socket
import time

import pytest

from environment.errors import LabError
from labs.load.burst import Burst
from tests.labs.servers import UNAVAILABLE, Server, serving

ANSWER = b'{"instance": "api-gateway-2", "cpuSeconds": 0.25}'
COMPUTED = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
LIST = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"


def test_all_are_sent_in_order_before_the_first_response() -> None:
    with serving(Server(COMPUTED)) as server:
        server.stall(0.3)
        with Burst(server.url) as burst:
            burst.send("computation", "/a", times=2)
            burst.send("bystander", "/b")
    rows = burst.samples
    assert rows["request"].tolist() == ["computation", "computation", "bystander"]
    assert rows["sent"].is_monotonic_increasing
    assert rows["sent"].max() < rows["ended"].min()
    assert (rows["latency"] > 0.2).all()


def test_instance_and_cpu_seconds_come_from_the_response() -> None:
    with serving(Server(COMPUTED)) as server, Burst(server.url) as burst:
        burst.send("computation", "/a")
    assert burst.samples["instance"].tolist() == ["api-gateway-2"]
    assert burst.samples["cpu_seconds"].tolist() == [0.25]
    assert burst.samples["status"].tolist() == [200]


def test_a_response_that_is_no_object_is_kept() -> None:
    with serving(Server(LIST)) as server, Burst(server.url) as burst:
        burst.send("bystander", "/b")
    assert burst.samples["status"].tolist() == [200]
    assert burst.samples["instance"].tolist() == [""]


def test_a_refusal_keeps_its_status() -> None:
    with serving(Server(UNAVAILABLE)) as server, Burst(server.url) as burst:
        burst.send("bystander", "/b")
    assert burst.samples["status"].tolist() == [503]


def test_a_refused_connection_and_a_timeout_are_status_0() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        with Burst(url) as refused:
            refused.send("bystander", "/")
        server.listen()
        with Burst(url, timeout=0.1) as waited:
            waited.send("bystander", "/")
    assert refused.samples["status"].tolist() == [0]
    assert waited.samples["status"].tolist() == [0]


def test_responses_have_their_own_time_when_more_is_sent_later() -> None:
    with serving(Server(LIST)) as server, Burst(server.url) as burst:
        burst.send("bystander", "/b")
        burst.listen(1)
        time.sleep(0.2)
        burst.send("bystander", "/b")
    rows = burst.samples
    assert rows["ended"][0] < rows["sent"][1] - 0.15


def test_what_other_programs_computed_is_counted_apart() -> None:
    with serving(Server(COMPUTED)) as server, Burst(server.url) as burst:
        burst.send("computation", "/a")
        began = time.process_time()
        while time.process_time() - began < 0.6:
            pass
    assert burst.samples["others"][0] > 0.2


def test_samples_exist_only_after_the_block() -> None:
    with pytest.raises(LabError, match="after its block"):
        _ = Burst("http://127.0.0.1:1/").samples
