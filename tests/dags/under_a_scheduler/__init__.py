"""Tests of one Airflow at work, of which nothing is killed."""
