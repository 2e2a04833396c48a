"""A simulated survey, so that the whole pipeline runs without a download."""
