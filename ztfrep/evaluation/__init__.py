"""Evaluation protocols of vectors of alerts and of objects: scores, baselines, figures, reports."""
