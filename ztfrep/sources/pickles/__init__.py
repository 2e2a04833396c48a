"""The two published pickles, read without running code that they contain."""
