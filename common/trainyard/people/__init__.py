"""People: their tokens, and what they did."""
