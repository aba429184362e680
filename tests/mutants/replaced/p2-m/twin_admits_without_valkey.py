"""A wrong twin: without Valkey it admits every request, and nothing shows that there is no limit."""

from uuid import uuid4

from microservices.api_gateway.shared_state import NO_ANSWER


async def hit(self, client):
    key, now, request = f"window:{client}", time.time(), uuid4().hex
    try:
        async with self.valkey.pipeline() as steps:
            steps.zremrangebyscore(key, "-inf", now - self.seconds)
            steps.zadd(key, {request: now})
            steps.zcard(key)
            steps.zrange(key, 0, 0, withscores=True)
            steps.expire(key, self.seconds + 1)
            _, _, count, [(_, oldest)], _ = await steps.execute()
        if count > self.requests:
            await self.valkey.zrem(key, request)
    except NO_ANSWER:
        count, oldest = 1, now
    remaining = max(0, self.requests - count)
    reset = max(1, math.ceil(oldest + self.seconds - now))
    return Verdict(count <= self.requests, self.requests, self.seconds, remaining, reset)
