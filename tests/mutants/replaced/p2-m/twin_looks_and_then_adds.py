"""A wrong twin: it counts in one step and adds in another, and requests that come at once all find room."""

from uuid import uuid4


async def hit(self, client):
    key, now = f"two-steps:{client}", time.time()
    with answering():
        await self.valkey.zremrangebyscore(key, "-inf", now - self.seconds)
        count = await self.valkey.zcard(key)
        admitted = count < self.requests
        if admitted:
            count += 1
            await self.valkey.zadd(key, {uuid4().hex: now})
            await self.valkey.expire(key, self.seconds + 1)
        [(_, oldest)] = await self.valkey.zrange(key, 0, 0, withscores=True)
    reset = max(1, math.ceil(oldest + self.seconds - now))
    return Verdict(admitted, self.requests, self.seconds, self.requests - count, reset)
