"""A wrong twin: it also deletes what was written while it sent."""


async def publish_oldest(self):
    rows = await self._database.read(outbox.first, BATCH)
    if not rows:
        return False
    try:
        await self._renewing(self._producer.send([record for _, record in rows]))
    except NotSent as error:
        await self._send_one_by_one(rows, error.errors)
        return True
    self._were_sent([record for _, record in rows])
    for position, _ in await self._database.read(outbox.first, BATCH):
        await self._database.write(outbox.remove_each, [position])
    return True
