"""Tables: from a file to the training, validation and test rows."""
