"""Decoded stamps beside noise-free scenes, which only the simulation of the sample knows.

dvc repro train_autoencoder
python -m benchmarks.noise_free data/models/autoencoder --scale 0.03

PCA has as many components as a vector has numbers, and is fitted to the train rows of the sample at
this scale. Squared errors are in the scale of the network's input; intervals are of test alerts
resampled within their classes, and those of ratios and differences are paired. Flux and centroid
are those of the difference stamp, in counts, within a circle about the position of the alert whose
radius is the full width at half maximum of the point spread function.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.measuring import save
from ztfrep.data.alert_schema import CHANNELS, CLASSES
from ztfrep.data.alerts import Alerts
from ztfrep.data.stamps import crop
from ztfrep.encoders.encoder import Encoder, load
from ztfrep.evaluation.bootstrap import Bootstrap
from ztfrep.evaluation.pixel_pca import PixelPCA
from ztfrep.sources.simulation import optics
from ztfrep.sources.simulation.noise_free import NoiseFreeAlerts, render_alerts
from ztfrep.sources.simulation.scene import REAL
from ztfrep.sources.simulation.survey import train_counts

RESULT = "noise_free"
_SIZE = 63
_PER_CLASS = 100  # As in the sample's Test
# Edges of the bins of the alerts' magnitudes in the difference.
_MAGNITUDES = (0.0, 17.5, 18.5, 19.5, 30.0)
_BASELINE = "pca"


def main(
    model: Annotated[Path, typer.Argument(help="The folder of an autoencoder.")],
    scale: Annotated[float, typer.Option(help="Of the sample whose train rows PCA has.")] = 0.03,
    seed: Annotated[int, typer.Option(help="Of the sample.")] = 7,
    name: Annotated[str, typer.Option(help="Of the JSON in benchmarks/results.")] = RESULT,
) -> None:
    """Compare the decoded stamps of simulated test alerts with their noise-free scenes."""
    encoder = load(model)
    labels = np.repeat(np.arange(len(CLASSES)), _PER_CLASS)
    alerts = render_alerts(np.random.default_rng(seed).permutation(labels), _SIZE, [seed, 1, 2])
    source = Alerts.from_arrays(alerts.stamps)
    pixels, mask = encoder.scaled_stamps(source)
    # Both stamps have the same affine scale in each channel.
    low, unit = _affine_scale(crop(alerts.stamps), pixels)
    noise_free = (crop(alerts.noise_free) - low) / unit
    pca = _fit_pca(encoder, scale, seed)
    decoded = {
        _BASELINE: pca.decode(pca.encode(pixels, mask)),
        "reconstruction": encoder.reconstruct(source),
    }
    if encoder.network.denoise(_any_vector(encoder)) is not None:
        decoded["denoised"] = encoder.reconstruct(source, denoised=True)
    bootstrap = Bootstrap.within_classes(alerts.scenes.label, seed=0)
    result: dict[str, Any] = {"model": encoder.checksum, "scale": scale, "alerts": len(labels)}
    for target_name, target in (("noise-free scene", noise_free), ("pixels", pixels)):
        result[target_name] = _compare_errors(decoded, target, alerts.scenes.label, bootstrap)
    counts = {
        method: values[:, 2] * unit[:, 2] + low[:, 2]
        for method, values in {"pixels": pixels, **decoded}.items()
    }
    result["sources"] = _compare_sources(counts, alerts)
    save(name, result)


def _any_vector(encoder: Encoder) -> Any:
    """Return a vector, of which a network without denoised stamps computes None."""
    import torch

    return torch.zeros(1, encoder.network.config.latent_dim, device=encoder.device)


def _affine_scale(counts: np.ndarray, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return offset and unit `(n, 3, 1, 1)` by which counts were scaled to pixels."""
    axes = (2, 3)
    low, high = counts.min(axes, keepdims=True), counts.max(axes, keepdims=True)
    if not np.allclose(pixels.min(axes), 0) or not np.allclose(pixels.max(axes), 1):
        raise SystemExit("error: expected a network with stamp_scaling minmax")
    return low, high - low


def _fit_pca(encoder: Encoder, scale: float, seed: int) -> PixelPCA:
    counts = train_counts(scale)
    # The order of the sample's Train.
    labels = np.random.default_rng([seed, 0]).permutation(np.repeat(np.arange(5), counts))
    train = Alerts.from_arrays(render_alerts(labels, _SIZE, [seed, 1, 0]).stamps)
    return PixelPCA.fit(*encoder.scaled_stamps(train), encoder.network.config.latent_dim)


def _compare_errors(
    decoded: dict[str, np.ndarray], target: np.ndarray, labels: np.ndarray, bootstrap: Bootstrap
) -> dict[str, Any]:
    """Return mean squared errors, and those relative to PCA, by method."""
    squared = {name: np.square(values - target) for name, values in decoded.items()}
    errors = {name: values.mean(axis=(1, 2, 3)) for name, values in squared.items()}
    scores: dict[str, Any] = {}
    for name, values in errors.items():
        scores[name] = bootstrap.score("mse", _mean, values)
        if name == _BASELINE:
            continue
        baseline = errors[_BASELINE]
        scores[name] |= bootstrap.score("of_pca", _ratio, values, baseline)
        for column, channel in enumerate(CHANNELS):
            parts = (part[:, column].sum() for part in (squared[name], squared[_BASELINE]))
            scores[name][f"of_pca_{channel}"] = float(next(parts) / next(parts))
        for label, class_name in enumerate(CLASSES):
            rows = labels == label
            scores[name][f"of_pca_{class_name}"] = _ratio(values[rows], baseline[rows])
    return scores


def _compare_sources(counts: dict[str, np.ndarray], alerts: NoiseFreeAlerts) -> dict[str, Any]:
    """Return biases of flux and centroid by method, for all sources, by class and by magnitude."""
    scenes = alerts.scenes
    side = counts["pixels"].shape[-1]
    weights = _aperture(scenes.x, scenes.y, scenes.seeing[:, 0], side)
    truth = _measure(crop(alerts.noise_free[:, 2]), weights)
    magnitude = optics.magnitude(np.abs(scenes.change[:, 0]))
    # Artefacts have no flux. The sign of a faint source may be that of the noise.
    real = (scenes.artefact == REAL) & (truth[0] > 0)
    groups = {"all": real}
    groups |= {name: real & (scenes.label == label) for label, name in enumerate(CLASSES[:-1])}
    for low, high in zip(_MAGNITUDES[:-1], _MAGNITUDES[1:], strict=True):
        groups[f"magnitude {low} to {high}"] = real & (magnitude >= low) & (magnitude < high)
    result: dict[str, Any] = {}
    for name, rows in groups.items():
        bootstrap = Bootstrap.within_classes(scenes.label[rows], seed=0)
        result[name] = {"sources": int(rows.sum())}
        for method, images in counts.items():
            flux, x, y = _measure(images, weights)
            width = scenes.seeing[rows, 0]
            result[name][method] = {
                **bootstrap.score("flux_bias", _flux_bias, flux[rows], truth[0][rows]),
                **bootstrap.score("median_flux_bias", _median_bias, flux[rows], truth[0][rows]),
                **bootstrap.score("x_bias_of_fwhm", _median, (x - truth[1])[rows] / width),
                **bootstrap.score("y_bias_of_fwhm", _median, (y - truth[2])[rows] / width),
                "offset_of_fwhm": _median(np.hypot(x - truth[1], y - truth[2])[rows] / width),
            }
    return result


def _aperture(x: np.ndarray, y: np.ndarray, fwhm: np.ndarray, side: int) -> np.ndarray:
    """Return True within the full width at half maximum from the positions `(n,)`."""
    axis = np.arange(side) - (side - 1) / 2
    dx, dy = axis - x[:, None, None], axis[:, None] - y[:, None, None]
    return np.hypot(dx, dy) <= fwhm[:, None, None]


def _measure(images: np.ndarray, aperture: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the flux within an aperture, and the centroid of its positive pixels, `(n,)` each."""
    axis = np.arange(images.shape[-1]) - (images.shape[-1] - 1) / 2
    inside = images * aperture
    positive = inside.clip(min=0)
    total = np.maximum(positive.sum(axis=(1, 2)), 1e-6)
    x = (positive * axis).sum(axis=(1, 2)) / total
    y = (positive * axis[:, None]).sum(axis=(1, 2)) / total
    return inside.sum(axis=(1, 2)), x, y


def _mean(values: np.ndarray) -> float:
    return float(values.mean())


def _median(values: np.ndarray) -> float:
    return float(np.median(values))


def _ratio(values: np.ndarray, baseline: np.ndarray) -> float:
    return float(values.sum() / baseline.sum())


def _flux_bias(flux: np.ndarray, truth: np.ndarray) -> float:
    """Return the bias of the summed flux, of which bright sources are most."""
    return float(flux.sum() / truth.sum() - 1)


def _median_bias(flux: np.ndarray, truth: np.ndarray) -> float:
    return float(np.median(flux / truth) - 1)


if __name__ == "__main__":
    typer.run(main)
