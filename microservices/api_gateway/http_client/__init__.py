"""The gateway's own HTTP/1.1 client: keep-alive connections over httptools, since httpx made it a twelfth as fast."""
