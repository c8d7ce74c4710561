"""How a run's process starts, and what it and the service say to each other."""
