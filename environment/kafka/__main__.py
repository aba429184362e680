"""The start of one broker: `python -m environment.kafka JAVA JARS`, in the image and on this machine alike."""

import sys

from environment.kafka.starting import start

if __name__ == "__main__":
    start(*sys.argv[1:])
