"""What a launcher promises of the processes that it starts."""
