"""Context managers that restore the settings of a test's process."""

from contextlib import contextmanager

import pytest
import torch


@contextmanager
def restored_torch_settings():
    """Restore the number of threads and the deterministic mode of torch."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)


@contextmanager
def outside_a_repository(folder):
    """Change to a folder and hide repositories above it, in which DVCLive would write."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("GIT_CEILING_DIRECTORIES", str(folder.parent))
        for name in ("DVC_ROOT", "DVC_STAGE"):
            patch.delenv(name, raising=False)
        yield
