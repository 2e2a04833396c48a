"""Where the stages leave their outputs; dvc.yaml names the same paths."""

from pathlib import Path

RAW = Path("data/raw")
MANIFEST = RAW / "manifest.json"
STAMPS = Path("data/parquet/stamps.parquet")
SERIES = Path("data/parquet/series.parquet")
AUTOENCODER = Path("data/models/autoencoder")
RECURRENT = Path("data/models/recurrent")
ENCODED_STAMPS = Path("data/encoded/base.npy")
ENCODED_SERIES = Path("data/encoded/baseRecurrente.npy")
ENCODED_OBJECTS = Path("data/encoded/objects.npy")
FIGURES = Path("data/figures")
METRICS = Path("metrics")
