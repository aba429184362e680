"""The gateway's own HTTP/1.1 client, over httptools: with httpx the gateway's throughput was a twelfth of this.

Public: `Upstream` and `UpstreamRequest` (`upstream.py`), `UpstreamResponse` (`connection.py`).
"""
