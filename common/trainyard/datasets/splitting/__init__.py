"""Which rows train, validate and test: at random, or by a column's times, groups or words."""

from trainyard.datasets.splitting.at_random import partition
from trainyard.datasets.splitting.by_key import divided, profile
from trainyard.datasets.splitting.key import Key
from trainyard.datasets.splitting.parts import Partition, Rows
from trainyard.datasets.splitting.sentences import described

__all__ = ["Key", "Partition", "Rows", "described", "divided", "partition", "profile"]
