"""Temporal representations of astronomical alerts: a vector per alert, a vector per object."""

__version__ = "0.1.0"
