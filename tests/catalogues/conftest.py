"""Small models, and archives of packets with known content."""

import pytest

from tests.alert_packets import CANDID, alert, archive, observation, packet
from tests.model_folders import save
from ztfrep.encoders.encoder import load


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Return a folder of untrained networks of alerts and of objects, with references."""
    folder = tmp_path_factory.mktemp("models")
    save(folder / "autoencoder", "alert-invariant")
    save(folder / "recurrent", "object-temporal-gru")
    return folder


@pytest.fixture(scope="session")
def encoder(models):
    return load(models, device="cpu")


def object_name(number):
    return f"ZTF20aaaaa{chr(ord('a') + number // 26)}{chr(ord('a') + number % 26)}"


def packets(numbers, objects=5):
    """Return packets by name: alert i is of object i modulo `objects`, with two prior observations.

    One prior observation is an upper limit, the other a detection without stamps.
    """
    files = {}
    for number in numbers:
        jd = 2459010.5 + number
        prior = [
            observation(jd - 20.25),
            observation(jd - 15, CANDID + 10_000 + number, magpsf=19.5, sigmapsf=0.1),
        ]
        files[f"{number}.avro"] = packet(
            alert(object_name(number % objects), CANDID + number, jd, prior, magpsf=18.0)
        )
    return files


@pytest.fixture
def night(tmp_path):
    """Return a function that writes an archive of packets and returns its path."""

    def write(name="night.tar.gz", numbers=range(12), extra=None):
        return archive_path(tmp_path / name, packets(numbers) | (extra or {}))

    return write


def archive_path(path, files):
    path.parent.mkdir(parents=True, exist_ok=True)
    archive(path, files)
    return path
