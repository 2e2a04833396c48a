"""The paths of the outputs of the stages; dvc.yaml has the same paths."""

import os
from pathlib import Path

PARAMS = Path("params.yaml")
RAW = Path("data/raw")
MANIFEST = RAW / "manifest.json"
STAMPS = Path("data/parquet/stamps.parquet")
SERIES = Path("data/parquet/series.parquet")
BAD_PACKETS = Path("data/parquet/bad_packets.csv")
MODELS = Path("data/models")
AUTOENCODER = MODELS / "autoencoder"
RECURRENT = MODELS / "recurrent"
ENCODED_STAMPS = Path("data/encoded/base.npy")
ENCODED_SERIES = Path("data/encoded/baseRecurrente.npy")
# Every observation of every series, with the index of its vector in the series.
OBSERVATIONS = Path("data/encoded/observations.parquet")
ENCODED_OBJECTS = Path("data/encoded/objects.npy")
FIGURES = Path("data/figures")
REPORT = Path("data/report.html")
METRICS = Path("metrics")
# Remains after a run. Experiments run in temporary folders, and share that of the repository's
# root.
CACHE = Path(os.environ.get("DVC_ROOT", ".")) / ".cache"
# Checkpoints of interrupted trainings.
CHECKPOINTS = CACHE / "checkpoints"
