"""Trained networks with their preprocessing, on disk and in memory."""
