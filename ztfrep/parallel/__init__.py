"""Where tasks run: in this process, in several processes, or on a Dask cluster.

The result of a task does not depend on it, so it is no parameter of a stage.
"""
