"""The notebook of examples, run from beginning to end."""

import nbformat
import pytest
from nbclient import NotebookClient

from tests.test_architecture import ROOT

PATH = ROOT / "examples/tour.ipynb"


def test_the_notebook_has_no_outputs_in_git():
    notebook = nbformat.read(PATH, as_version=4)
    nbformat.validate(notebook)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    assert len(notebook.cells) == 10


# The client of the kernel uses names that its own dependencies deprecate.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs_and_every_cell_of_results_shows_something(tmp_path):
    notebook = nbformat.read(PATH, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [{kind for output in of_cell for kind in output.get("data", {})} for of_cell in outputs]
    assert sum("text/html" in kind for kind in kinds) >= 3
    assert sum("image/png" in kind for kind in kinds) >= 3
    texts = [output for of_cell in outputs for output in of_cell if output.output_type == "stream"]
    assert not any("Error" in output.text for output in texts)
