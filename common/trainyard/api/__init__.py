"""The HTTP side of a service: thin routes over the supervisor, problem+json, long poll."""
