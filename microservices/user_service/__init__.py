"""user-service: who may order. Version 1 lists and creates; version 2 adds e-mail addresses."""
