"""Text columns that hold numbers or dates: how they are written is found from a sample of their values."""
