"""How long whoever calls another service waits for a connection, and keeps one."""

CONNECT_SECONDS = 0.3
"""A live service accepts at once; a dead container's address takes seconds to say no."""

KEEPALIVE_SECONDS = 30
"""Less than nginx's 60 s and uvicorn's 75 s: we never send on a connection they just closed."""
