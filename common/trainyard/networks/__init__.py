"""What neural networks have in common whatever the framework: their params, and how tables become numbers."""
