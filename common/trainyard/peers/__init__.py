"""The other services of one MLflow: who decides about promotions, and who can load what this one cannot."""
