"""PyTorch behind Trainyard's `/train`."""
