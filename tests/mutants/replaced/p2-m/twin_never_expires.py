"""A wrong twin: its keys never expire, and Valkey keeps one for each client that ever came."""

from uuid import uuid4


async def hit(self, client):
    key, now, request = f"for-ever:{client}", time.time(), uuid4().hex
    with answering():
        async with self.valkey.pipeline() as steps:
            steps.zremrangebyscore(key, "-inf", now - self.seconds)
            steps.zadd(key, {request: now})
            steps.zcard(key)
            steps.zrange(key, 0, 0, withscores=True)
            _, _, count, [(_, oldest)] = await steps.execute()
        admitted = count <= self.requests
        if not admitted:
            await self.valkey.zrem(key, request)
    remaining = max(0, self.requests - count)
    reset = max(1, math.ceil(oldest + self.seconds - now))
    return Verdict(admitted, self.requests, self.seconds, remaining, reset)
