"""A wrong twin: the window is in the memory of this replica, and n replicas admit n times the limit."""

from collections import defaultdict, deque

WINDOWS = defaultdict(deque)


async def hit(self, client):
    window, now = WINDOWS[id(self), client], time.time()
    with answering():
        await self.valkey.ping()
    while window and window[0] <= now - self.seconds:
        window.popleft()
    admitted = len(window) < self.requests
    if admitted:
        window.append(now)
    reset = max(1, math.ceil(window[0] + self.seconds - now))
    return Verdict(admitted, self.requests, self.seconds, self.requests - len(window), reset)
