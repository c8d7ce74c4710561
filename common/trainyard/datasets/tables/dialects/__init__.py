"""How a CSV is written, found out from its first bytes."""
