"""The reference answer: one transaction drops what has left the window, adds the request and counts."""

from uuid import uuid4


async def hit(self, client):
    """Count a request of `client` in Valkey if it is admitted."""
    key, now, request = f"window:{client}", time.time(), uuid4().hex
    with answering():
        async with self.valkey.pipeline() as steps:
            steps.zremrangebyscore(key, "-inf", now - self.seconds)
            steps.zadd(key, {request: now})
            steps.zcard(key)
            steps.zrange(key, 0, 0, withscores=True)
            steps.expire(key, self.seconds + 1)
            _, _, count, [(_, oldest)], _ = await steps.execute()
        admitted = count <= self.requests
        if not admitted:
            await self.valkey.zrem(key, request)
    remaining = max(0, self.requests - count)
    reset = max(1, math.ceil(oldest + self.seconds - now))
    return Verdict(admitted, self.requests, self.seconds, remaining, reset)
