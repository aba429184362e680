"""user-service: the customers. Version 1 lists and creates them; version 2 adds e-mail addresses."""
