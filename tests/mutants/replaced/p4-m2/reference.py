"""The reference answer: a row is deleted once Kafka has its event, and no other row."""


async def publish_oldest(self):
    """Publish the oldest events of the outbox, and delete those that Kafka has; false for none."""
    rows = await self._database.read(outbox.first, BATCH)
    if not rows:
        return False
    positions, records = zip(*rows, strict=True)
    try:
        await self._renewing(self._producer.send(records))
    except NotSent as error:
        await self._send_one_by_one(rows, error.errors)
        return True
    self._were_sent(records)
    await self._database.write(outbox.remove, positions)
    return True
