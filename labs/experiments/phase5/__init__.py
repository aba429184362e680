"""The experiments of phase 5: a sale that takes three services, and money that stays right without a transaction."""
