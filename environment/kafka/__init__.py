"""Apache Kafka as a described service: one broker that is its own controller (KRaft).

`python -m environment.kafka` starts it, on this machine and in its image alike. `server.properties` is its
configuration, `jars.lock` what it is made of, `jars.py` and `java.py` where these come from when it runs as a process.
"""

KAFKA = "kafka"
"""The service that is the broker, where a phase has it."""
