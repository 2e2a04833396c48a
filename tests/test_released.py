"""The released encoder: loaded without an argument, and fetched as a DVC artifact."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml

import ztfrep
from tests.test_architecture import ROOT
from ztfrep.encoders.encoder import RELEASED

ARTIFACTS = yaml.safe_load((ROOT / "dvc.yaml").read_text())["artifacts"]


def test_the_released_encoder_is_loaded_without_an_argument():
    encoder = ztfrep.load(device="cpu")
    stamps = np.random.default_rng(0).normal(100, 10, (2, 3, 63, 63))
    assert encoder.encode_stamps(stamps).shape == (2, 128)
    assert encoder.reference is not None and encoder.object_reference is not None


def test_the_figures_of_the_model_card_are_those_of_the_released_encoder():
    measured = json.loads((ROOT / "benchmarks/results/released_encoder.json").read_text())
    assert measured["model"] == ztfrep.load(device="cpu").checksum
    card = (RELEASED / "README.md").read_text()
    assert f"{measured['alerts']['vectors']['balanced_accuracy']['mean']:.3f}" in card
    assert f"{measured['objects']['vectors']['macro_f1']['mean']:.3f}" in card


def test_the_artifacts_are_the_folders_of_the_released_encoder():
    paths = {name: ROOT / artifact["path"] for name, artifact in ARTIFACTS.items()}
    assert paths == {
        "alert-encoder": RELEASED / "autoencoder",
        "object-encoder": RELEASED / "recurrent",
    }


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Return a tagged repository with the artifacts of this one."""
    folder = tmp_path_factory.mktemp("repository")
    shutil.copytree(RELEASED, folder / "ztfrep/released")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"artifacts": ARTIFACTS}))

    def run(*command):
        subprocess.run(command, cwd=folder, check=True, capture_output=True)

    run("git", "init", "--quiet")
    run("dvc", "init", "--quiet")
    run("git", "add", "--all")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    run("git", *author, "commit", "--quiet", "--message", "release")
    for name in ARTIFACTS:
        run("git", *author, "tag", "--annotate", f"{name}@v0.1.0", "--message", "release")
    return folder


@pytest.mark.parametrize("name", ARTIFACTS)
def test_an_artifact_is_fetched_from_another_repository(repository, tmp_path, name):
    path = ARTIFACTS[name]["path"]
    for target, command in {
        "artifact": ["dvc", "artifacts", "get", str(repository), name],
        "path": ["dvc", "get", str(repository), path],
    }.items():
        completed = subprocess.run(
            [*command, "--out", str(tmp_path / target)],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert completed.returncode == 0, completed.stderr
        for file in (ROOT / path).iterdir():
            assert (tmp_path / target / file.name).read_bytes() == file.read_bytes()


def test_the_package_ships_the_encoder_and_its_card():
    files = {str(path.relative_to(RELEASED)) for path in RELEASED.rglob("*") if path.is_file()}
    names = ("model.json", "reference.safetensors", "weights.safetensors")
    folders = ("autoencoder", "recurrent")
    assert files == {"README.md", *(str(Path(f, name)) for f in folders for name in names)}
    assert sum((RELEASED / file).stat().st_size for file in files) < 6e6
