"""Clients for the services on this machine."""

import ssl

import pytest

from labs import client


def test_certificates_are_read_once_for_all_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = []

    def read() -> ssl.SSLContext:
        reads.append(1)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    client._context.cache_clear()
    monkeypatch.setattr(ssl, "create_default_context", read)
    for _ in range(3):
        with client.new_client(timeout=2) as one:
            assert one.timeout.read == 2
    client._context.cache_clear()  # of this test's own context
    assert reads == [1]
