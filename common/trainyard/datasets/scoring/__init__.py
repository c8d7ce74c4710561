"""The rows of a data set as a model is to score them: a few at a time, all of them or those that test."""
