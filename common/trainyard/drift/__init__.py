"""What changed between the data of two runs, told from the sketches in their data profiles (`datasets/sketches.py`)."""
