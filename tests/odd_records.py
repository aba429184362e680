"""A record that Python's client can neither send nor read: the name of one of its headers is not UTF-8.

Clients in C, Go and Java can send it. Here it goes straight through librdkafka, the C library inside confluent_kafka.
"""

import ctypes
from ctypes import c_char_p, c_int, c_size_t, c_ssize_t, c_void_p

from confluent_kafka import cimpl

ODD_NAME = b"\xff\xfe"

TOPIC, PARTITION, VALUE, KEY, FLAGS, HEADERS, END = 1, 3, 4, 5, 7, 10, 0
"""The kinds of arguments of `rd_kafka_producev`."""

ANY_PARTITION, COPY = -1, 2


def send_odd_record(
    bootstrap: str,
    topic: str,
    value: bytes,
    key: bytes,
    *,
    partition: int = ANY_PARTITION,
    headers: tuple[tuple[bytes, bytes], ...] = ((b"good", b"1"), (ODD_NAME, b"2"), (b"last", b"3")),
) -> None:
    """Send one record, and return when the broker has it."""
    library = ctypes.CDLL(cimpl.__file__)  # its symbols and those of what it is linked with
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(library, name).restype = c_void_p
    configuration = c_void_p(library.rd_kafka_conf_new())
    error = ctypes.create_string_buffer(500)
    servers = (c_char_p(b"bootstrap.servers"), c_char_p(bootstrap.encode()))
    assert library.rd_kafka_conf_set(configuration, *servers, error, c_size_t(500)) == 0
    client = c_void_p(library.rd_kafka_new(c_int(0), configuration, error, c_size_t(500)))
    assert client.value, error.value
    odd = c_void_p(library.rd_kafka_headers_new(c_size_t(len(headers))))
    for name, text in headers:
        size = c_ssize_t(len(name)), c_ssize_t(len(text))
        library.rd_kafka_header_add(odd, c_char_p(name), size[0], c_char_p(text), size[1])
    library.rd_kafka_producev.argtypes = [c_void_p]  # the others vary
    sent = library.rd_kafka_producev(
        client,
        *(c_int(TOPIC), c_char_p(topic.encode()), c_int(PARTITION), ctypes.c_int32(partition)),
        *(c_int(VALUE), c_char_p(value), c_size_t(len(value))),
        *(c_int(KEY), c_char_p(key), c_size_t(len(key))),
        *(c_int(FLAGS), c_int(COPY), c_int(HEADERS), odd, c_int(END)),
    )
    assert sent == 0
    assert library.rd_kafka_flush(client, c_int(20_000)) == 0
    library.rd_kafka_destroy(client)
