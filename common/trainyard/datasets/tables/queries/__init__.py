"""What databases answer to a query, as a table."""
