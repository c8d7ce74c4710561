"""The search of a run: its params are found by training many times before it trains.

space       which values there are, and whether the model takes them
first       what is tried first
journal     what Optuna notes, in the run's folder
study       Optuna's study
metric      what is best, and what trials are pruned by
folds       the rows of each fold, where a search cross-validates
trial       one trial, in a process of its own
forker      the process that has the data and forks trials
spread      the same on the other ranks of the run, as rank 0 has it
along       what these ranks do
trials      the trials under way: started, heard, pruned, ended
mirror      trials as nested runs in MLflow
findings    the table and the pictures
searching   all of it, from the request to the best params
"""
