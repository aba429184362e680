"""A wrong twin: an order's events come in another order than they happened."""


async def publish_oldest(self):
    rows = await self._database.read(outbox.first, BATCH)
    if not rows:
        return False
    rows = rows[::-1]
    try:
        await self._renewing(self._producer.send([record for _, record in rows]))
    except NotSent as error:
        await self._send_one_by_one(rows, error.errors)
    else:
        self._were_sent([record for _, record in rows])
        await self._database.write(outbox.remove, [position for position, _ in rows])
    return True
