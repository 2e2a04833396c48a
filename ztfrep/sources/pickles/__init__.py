"""The published pickles, read without running what they hold."""
