"""A wrong twin: an event that its topic refuses for good holds back all events behind it."""


async def publish_oldest(self):
    rows = await self._database.read(outbox.first, BATCH)
    if not rows:
        return False
    await self._renewing(self._producer.send([record for _, record in rows]))
    self._were_sent([record for _, record in rows])
    await self._database.write(outbox.remove, [position for position, _ in rows])
    return True
