"""A run on disk: what must outlive every process."""
