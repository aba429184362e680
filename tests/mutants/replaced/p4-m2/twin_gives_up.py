"""A wrong twin: what Kafka has not acknowledged is deleted as well."""


async def publish_oldest(self):
    rows = await self._database.read(outbox.first, BATCH)
    if not rows:
        return False
    try:
        await self._renewing(self._producer.send([record for _, record in rows]))
        self._were_sent([record for _, record in rows])
    except NotSent as error:
        log.error("events were not sent", exc_info=error)
    await self._database.write(outbox.remove, [position for position, _ in rows])
    return True
