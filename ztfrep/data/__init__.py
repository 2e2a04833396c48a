"""Alerts on disk and in memory: tables, features, stamps, splits, vectors."""
