"""inventory-service: keeps what is on the shelf, and sets aside, sells or puts back what orders need."""
