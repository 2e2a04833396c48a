"""Networks that make a vector of an alert."""
