"""The report of a run: one HTML page of parameters, data, training and evaluation."""
