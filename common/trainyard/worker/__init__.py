"""What happens inside a run's process."""
