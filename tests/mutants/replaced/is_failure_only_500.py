"""A wrong twin: an overloaded upstream answers 503, and is called on and on."""


def is_failure(self, status):
    return status == 500
