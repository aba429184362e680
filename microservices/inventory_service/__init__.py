"""inventory-service: keeps what is on the shelf. So far its part of the saga, which the model checker walks."""
