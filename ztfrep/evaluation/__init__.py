"""Scores of vectors and classifiers, with intervals and baselines; figures."""
