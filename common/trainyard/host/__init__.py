"""What a machine does that has joined a service: it has a warm fork server of its own, and runs what the service asks for."""
