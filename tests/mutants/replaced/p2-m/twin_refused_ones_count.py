"""A wrong twin: what it refuses stays in the window, and a client that goes on asking is never admitted again."""

from uuid import uuid4


async def hit(self, client):
    key, now = f"all:{client}", time.time()
    with answering():
        async with self.valkey.pipeline() as steps:
            steps.zremrangebyscore(key, "-inf", now - self.seconds)
            steps.zadd(key, {uuid4().hex: now})
            steps.zcard(key)
            steps.zrange(key, 0, 0, withscores=True)
            steps.expire(key, self.seconds + 1)
            _, _, count, [(_, oldest)], _ = await steps.execute()
    remaining = max(0, self.requests - count)
    reset = max(1, math.ceil(oldest + self.seconds - now))
    return Verdict(count <= self.requests, self.requests, self.seconds, remaining, reset)
