"""The queue, the slots and the life of every run of one service."""
