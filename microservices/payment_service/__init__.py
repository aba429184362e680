"""payment-service: takes the money. Version 1 answers ``POST /pay`` when the work is done."""
