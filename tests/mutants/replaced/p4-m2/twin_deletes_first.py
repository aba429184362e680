"""A wrong twin: an event is lost when the replica is killed before Kafka has it."""


async def publish_oldest(self):
    rows = await self._database.read(outbox.first, BATCH)
    if not rows:
        return False
    await self._database.write(outbox.remove, [position for position, _ in rows])
    try:
        await self._renewing(self._producer.send([record for _, record in rows]))
    except NotSent as error:
        await self._send_one_by_one(rows, error.errors)
    else:
        self._were_sent([record for _, record in rows])
    return True
