"""Columns that mean the same on both databases."""

from sqlalchemy import BigInteger, Integer

POSITION = BigInteger().with_variant(Integer, "sqlite")
"""The type of a row's position, which the database allocates: 64 bits, which SQLite's INTEGER has anyway.

PostgreSQL's has 32, and refuses to compare one with a larger number.
"""
