"""A wrong twin: a window that the first request opens, and no request before its end can reopen."""


async def hit(self, client):
    key = f"fixed:{client}"
    with answering():
        count = await self.valkey.incr(key)
        if count == 1:
            await self.valkey.expire(key, self.seconds)
        left = await self.valkey.pttl(key)
    admitted = count <= self.requests
    remaining = max(0, self.requests - count)
    reset = max(1, math.ceil(left / 1000))
    return Verdict(admitted, self.requests, self.seconds, remaining, reset)
