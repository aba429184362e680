"""payment-service: charges orders.

Version 1 answers `POST /pay` when the work is done; version 2 also charges every order it consumes.
"""
