"""Speed and memory of the pipeline, each measured against a plain way in one run."""
