"""A wrong twin: a request is named by the hundredth of a second of its arrival, and two at once are one."""


async def hit(self, client):
    key, now, request = f"moments:{client}", time.time(), f"{time.time():.2f}"
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
