"""Trainyard's console: one page for all services, a client like any other."""
