"""Settings of all tests."""

import os

from hypothesis import settings

# How long an example takes depends on the machine. A test of the same commit is the same in CI.
settings.register_profile("ztfrep", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("ztfrep")
