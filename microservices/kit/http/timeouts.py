"""How long a client waits for a connection to another service, and how long it keeps one."""

CONNECT_SECONDS = 0.3
"""A live service accepts at once; connecting to a dead container's address fails after seconds."""

KEEPALIVE_SECONDS = 30
"""Less than nginx's 60 s and uvicorn's 75 s, so that no request is sent on a connection just closed."""
