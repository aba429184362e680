"""The gateway's own HTTP/1.1 client, over httptools: with httpx the gateway carried a twelfth of the requests.

Public: `Upstream` and `UpstreamRequest` (`upstream.py`), `UpstreamResponse` (`connection.py`).
"""
