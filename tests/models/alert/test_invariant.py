"""The autoencoder whose vectors are invariant to the orientation of the stamps."""

from functools import cache

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import nn

from tests.models.networks import (
    alert_config,
    alert_network,
    compute_loss,
    random_alerts,
    trained_alert_network,
    without_features,
    without_stamps,
)
from ztfrep.models.alert.base import N_FEATURES, AlertInput, AlertOutput
from ztfrep.models.alert.decoder import DecodedStamps
from ztfrep.models.alert.losses import contrastive_loss, cross_entropy
from ztfrep.models.alert.morphology import N_MORPHOLOGY
from ztfrep.models.alert.orientation import N_ORIENTATIONS, reorient

WEIGHTS = ("classification_weight", "feature_weight", "morphology_weight", "contrastive_weight")

STATISTICS = (
    *("bin_edges", "morphology_mean", "morphology_std"),
    *("mean_pixels", "components", "semantic_scale"),
)


@pytest.fixture(scope="module")
def invariant():
    return trained_alert_network("invariant")


@cache
def canonical_network():
    """Return a network of which only the orientation of stamps is used."""
    return alert_network("invariant", latent_dim=2).eval()


def rotate(alerts, quarter_turns, mirrored):
    """Return alerts whose images are mirrored and rotated."""
    images = []
    for part in alerts[:3]:
        part = part.flip(-2) if mirrored else part
        images.append(torch.rot90(part, quarter_turns, (-2, -1)))
    return AlertInput(*images, *alerts[3:])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("quarter_turns", range(4))
def test_vectors_are_invariant_to_rotation_and_mirroring(invariant, quarter_turns, mirrored):
    alerts = random_alerts(20)
    rotated = rotate(alerts, quarter_turns, mirrored)
    expected, output = invariant(alerts), invariant(rotated)
    torch.testing.assert_close(output.vectors, expected.vectors, atol=1e-5, rtol=0)
    # The reconstruction has the orientation of the input.
    reconstructed = alerts._replace(pixels=expected.reconstruction)
    expected_pixels = rotate(reconstructed, quarter_turns, mirrored).pixels
    torch.testing.assert_close(output.reconstruction, expected_pixels, atol=1e-5, rtol=0)
    same = invariant.orientation(alerts) == invariant.orientation(rotated)
    assert same.all() == (quarter_turns == 0 and not mirrored)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 1e3]))
def test_stamps_in_the_canonical_orientation_have_the_same_bits_however_they_are_turned(seed, size):
    network, generator = canonical_network(), torch.Generator().manual_seed(seed)
    images = size * torch.randn(4, 8, 21, 21, generator=generator)
    pixels = torch.rand(4, 3, 21, 21, generator=generator)
    alerts = random_alerts(4)._replace(crop_and_context=images, pixels=pixels)
    orientation = network.orientation(alerts)
    canonical, canonical_pixels = (
        network.orientations.apply_to(part, orientation) for part in (images, pixels)
    )
    seen = [orientation]
    for k in range(N_ORIENTATIONS):
        turned = alerts._replace(crop_and_context=reorient(images, k), pixels=reorient(pixels, k))
        orientation = network.orientation(turned)
        apply_to = network.orientations.apply_to
        assert torch.equal(apply_to(turned.crop_and_context, orientation), canonical)
        assert torch.equal(apply_to(turned.pixels, orientation), canonical_pixels)
        seen.append(orientation)
    # Each of the eight is the orientation of one of them.
    assert all(len(set(row)) == N_ORIENTATIONS for row in torch.stack(seen[1:], dim=1).tolist())


def test_a_stamp_without_contrast_has_the_orientation_0():
    alerts = random_alerts(2)
    alerts.crop_and_context[:, :3] = 0
    alerts.crop_and_context[1, :3] = 9
    orientation = canonical_network().orientation(alerts)
    assert orientation[0] == 0
    assert 0 <= orientation[1] < N_ORIENTATIONS


def test_only_the_canonical_orientation_and_its_opposite_are_read(invariant):
    alerts, read = random_alerts(5), []
    handle = invariant.stamp_encoder.register_forward_pre_hook(
        lambda module, inputs: read.append(inputs[0])
    )
    try:
        invariant.encode(alerts)
    finally:
        handle.remove()
    (images,) = read
    canonical = invariant.orientations.apply_to(
        alerts.crop_and_context, invariant.orientation(alerts)
    )
    assert torch.equal(images, torch.cat([canonical, canonical.flip((2, 3))]))


def test_each_alert_is_read_in_one_random_orientation_in_training():
    network, alerts, read = alert_network("invariant").train(), random_alerts(200), []
    network.stamp_encoder.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        network.encode(alerts)
    assert torch.equal(read[0], read[1])
    assert not torch.equal(read[0], read[2])
    reoriented = torch.stack([reorient(alerts.crop_and_context, k) for k in range(N_ORIENTATIONS)])
    matches = (reoriented == read[0]).flatten(2).all(dim=2)
    # One orientation for each alert, and all eight about equally often.
    assert (matches.sum(dim=0) == 1).all()
    assert matches.sum(dim=1).min() > 10


def test_without_an_orientation_stamps_are_decoded_in_the_canonical_one(invariant):
    alerts = random_alerts(20)
    vectors = invariant.encode(alerts)
    canonical = invariant.decode(vectors)
    unchanged = torch.zeros(20, dtype=torch.int64)
    torch.testing.assert_close(invariant.decode(vectors, unchanged), canonical)
    assert not torch.equal(invariant.decode(vectors, invariant.orientation(alerts)), canonical)


def test_stamps_or_metadata_may_be_missing(invariant):
    alerts = random_alerts(4)
    vectors = invariant.encode(alerts)
    for remove in (without_stamps, without_features):
        others = invariant.encode(remove(alerts))
        assert torch.isfinite(others).all()
        assert ((others - vectors).abs().amax(dim=1) > 1e-3).all()


def test_vectors_do_not_depend_on_masked_values(invariant):
    alerts = random_alerts(4)
    missing = without_features(alerts)
    filled = missing._replace(features=torch.full((4, N_FEATURES), 99.0))
    torch.testing.assert_close(invariant.encode(filled), invariant.encode(missing))
    # One masked feature.
    column = torch.arange(N_FEATURES) == 4
    missing = alerts._replace(feature_mask=alerts.feature_mask & ~column)
    filled = missing._replace(features=torch.where(column, 3.0, alerts.features))
    torch.testing.assert_close(invariant.encode(filled), invariant.encode(missing))
    # Masked pixels.
    hole = torch.zeros(4, 3, 21, 21, dtype=torch.bool)
    hole[:, :, 3:6, 3:6] = True
    missing = alerts._replace(pixel_mask=~hole)
    filled = missing._replace(pixels=torch.where(hole, 7.0, alerts.pixels))
    torch.testing.assert_close(invariant.encode(filled), invariant.encode(missing))


def test_the_pca_part_reconstructs_stamps_of_four_dimensions():
    network = alert_network("invariant").eval()
    # Mixtures of four patterns are in a space of four dimensions.
    patterns = random_alerts(4).pixels
    fractions = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
    pixels = (fractions @ patterns.flatten(1)).unflatten(1, (3, 21, 21))
    # All stamps are brighter towards one corner, so that they have the same orientation.
    gradient = torch.linspace(0, 1, 21)
    crop_and_context = gradient.expand(60, 8, 21, 21) + 0.3 * gradient[:, None]
    alerts = random_alerts(60)._replace(pixels=pixels, crop_and_context=crop_and_context)
    network.fit_statistics(alerts)
    torch.testing.assert_close(network(alerts).reconstruction, pixels, atol=1e-4, rtol=0)


def test_masked_values_do_not_change_the_statistics(invariant):
    # Rows without stamps and metadata, with other values under the mask.
    missing = without_features(without_stamps(random_alerts(30, seed=5)))
    missing = missing._replace(
        pixels=missing.pixels + 9, features=torch.full_like(missing.features, 99.0)
    )
    # The statistics of the fixture's network are those of these alerts.
    complete = random_alerts(40)
    both = AlertInput(*(torch.cat(parts) for parts in zip(complete, missing, strict=True)))
    network = alert_network("invariant")
    network.fit_statistics(both)
    expected = invariant.state_dict()
    for name in STATISTICS:
        torch.testing.assert_close(network.state_dict()[name], expected[name])


def test_the_morphology_has_full_precision_in_mixed_precision(invariant):
    crop_and_context = random_alerts(20).crop_and_context
    expected, _ = invariant._standardised_morphology(crop_and_context)
    with torch.autocast("cpu", torch.bfloat16):
        morphology, _ = invariant._standardised_morphology(crop_and_context)
    torch.testing.assert_close(morphology, expected)


def test_the_numbers_of_a_vector_have_similar_variance(invariant):
    deviation = invariant.encode(random_alerts(200)).detach().std(dim=0)
    assert deviation.max() < 3 * deviation.min()


def test_distances_of_vectors_are_those_of_their_semantic_and_pca_parts(invariant):
    vectors = invariant.encode(random_alerts(200)).detach()
    semantic, pca = invariant._split(vectors)
    parts = torch.cat([semantic * invariant.semantic_scale, pca], dim=1)
    distances, expected = (rows.diff(dim=0).norm(dim=1) for rows in (vectors, parts))
    torch.testing.assert_close(distances, expected, atol=0, rtol=1e-4)


def test_encoding_costs_no_more_than_with_the_published_network():
    def operations(architecture):
        network, total = alert_network(architecture).eval(), 0

        def count(layer, _, output):
            nonlocal total
            total += output.numel() * layer.weight[0].numel()

        for layer in network.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        network.encode(random_alerts(1))
        return total

    assert operations("invariant") <= operations("published")


@pytest.mark.parametrize("pca_fraction", [0.001, 0.3, 0.999])
def test_every_vector_has_a_semantic_and_a_pca_part(pca_fraction):
    network = alert_network("invariant", latent_dim=4, pca_fraction=pca_fraction)
    assert network(random_alerts(20)).vectors.shape == (20, 4)
    assert 1 <= network.semantic_size <= 3


def test_pca_fraction_is_the_fraction_of_the_pca_part():
    network = alert_network("invariant", latent_dim=100, pca_fraction=0.3)
    assert network.semantic_size == 70
    assert len(network.components) == 30


def random_output(n=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    sizes = (128, N_FEATURES, N_MORPHOLOGY, 5)
    vectors, features, morphology, logits = (
        torch.randn(n, size, generator=generator) for size in sizes
    )
    reconstruction, denoised = (random_alerts(n, seed + i).pixels for i in range(2))
    return AlertOutput(vectors, reconstruction, logits, features, morphology, denoised)


def loss_of(output, alerts, labels, *, original=None, **changes):
    """Return the loss of a network whose output is `output`."""
    network = alert_network("invariant", **changes).eval()
    network.load_state_dict(trained_alert_network("invariant").state_dict())
    set_output(network, output)
    return compute_loss(network, alerts, labels, original)


def set_output(network, output):
    network._outputs = lambda alerts, orientation: output
    network.orientation = lambda alerts: torch.zeros(len(alerts.pixels), dtype=torch.int64)
    network._decode = lambda scores: DecodedStamps(
        output.reconstruction[: len(scores)], output.denoised[: len(scores)]
    )


def test_masked_pixels_unknown_features_and_unlabelled_rows_do_not_count_in_the_loss(invariant):
    labels = torch.tensor([0, 1, 2, -1, 4, -1])
    generator = torch.Generator().manual_seed(3)
    alerts = random_alerts()._replace(
        pixel_mask=torch.rand(6, 3, 21, 21, generator=generator) > 0.3
    )
    # Rows without a crop or a context have a masked morphology.
    alerts.crop_and_context[0, 6], alerts.crop_and_context[1, 7] = 0, 0
    output = random_output()
    morphology, mask = invariant._standardised_morphology(alerts.crop_and_context)
    assert 0 < mask.sum() < mask.numel()
    reference = loss_of(output, alerts, labels)
    changed = output._replace(
        reconstruction=torch.where(alerts.pixel_mask, output.reconstruction, 1e3),
        denoised=torch.where(alerts.pixel_mask, output.denoised, 1e3),
        features=torch.where(alerts.feature_mask, output.features, 1e3),
        morphology=torch.where(mask, output.morphology, 1e3),
        logits=torch.where(labels[:, None] >= 0, output.logits, 50.0),
    )
    for name, (value, count) in loss_of(changed, alerts, labels).items():
        torch.testing.assert_close(value, reference[name][0])
        assert count == reference[name][1]
    assert reference["accuracy"][1] == 4
    squared = (output.reconstruction - alerts.pixels)[alerts.pixel_mask].square().mean()
    torch.testing.assert_close(reference["reconstruction"][0], squared)
    squared = (output.features - alerts.features)[alerts.feature_mask].square().mean()
    torch.testing.assert_close(reference["features"][0], squared)
    squared = (output.morphology - morphology)[mask].square().mean()
    torch.testing.assert_close(reference["morphology"][0], squared)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    labels, weights = torch.tensor([0, 0, 2, -1, 4, 2]), (0.7, 0.2, 0.3, 0.4, 0.6, 0.9)
    alerts = random_alerts()
    keys = (*WEIGHTS, "reconstruction_weight", "denoising_weight")
    terms = loss_of(random_output(), alerts, labels, **dict(zip(keys, weights, strict=True)))
    names = ("classification", "features", "morphology", "contrastive")
    names += ("reconstruction", "denoising")
    total = sum(w * terms[name][0] for w, name in zip(weights, names, strict=True))
    torch.testing.assert_close(terms["loss"][0], total)
    assert terms["loss"][1] == 6
    assert set(terms) == {"loss", "accuracy", *names}


@pytest.mark.parametrize(
    ("weight", "term"),
    [
        ("feature_weight", "features"),
        ("morphology_weight", "morphology"),
        ("contrastive_weight", "contrastive"),
        ("denoising_weight", "denoising"),
    ],
)
def test_a_term_of_weight_0_is_not_computed(weight, term):
    alerts, labels = random_alerts(), torch.arange(6) % 5
    assert term in loss_of(random_output(), alerts, labels)
    assert term not in loss_of(random_output(), alerts, labels, **{weight: 0.0})


def test_dropped_metadata_are_predicted_and_the_morphology_of_dropped_stamps_is_not():
    original, labels, output = random_alerts(), torch.full((6,), -1), random_output()
    without = loss_of(output, without_features(original), labels, original=original)
    squared = (output.features - original.features)[original.feature_mask].square().mean()
    torch.testing.assert_close(without["features"][0], squared)
    without = loss_of(output, without_stamps(original), labels, original=original)
    assert without["morphology"][1] == 0
    assert without["morphology"][0] == 0
    assert without["reconstruction"][1] == without["denoising"][1] == 0


def test_labels_are_smoothed_in_training_alone():
    network = alert_network("invariant", label_smoothing=0.3)
    output, alerts, labels = random_output(), random_alerts(), torch.arange(6) % 5
    set_output(network, output)
    for training, smoothing in ((True, 0.3), (False, 0.0)):
        terms = compute_loss(network.train(training), alerts, labels)
        expected = cross_entropy(output.logits, labels, smoothing)
        torch.testing.assert_close(terms["classification"][0], expected)


def test_the_contrastive_term_is_that_of_the_vectors():
    output, labels = random_output(), torch.tensor([0, 0, 1, 1, 1, -1])
    terms = loss_of(output, random_alerts(), labels)
    expected = contrastive_loss(output.vectors, labels, alert_config("invariant").temperature)
    torch.testing.assert_close(terms["contrastive"][0], expected)
    assert terms["contrastive"][1] == 5


def test_a_config_without_any_loss_is_refused():
    content = alert_config("invariant").model_dump()
    config = type(alert_config("invariant"))
    with pytest.raises(ValidationError, match=r"are all 0; expected one above 0"):
        config.model_validate(content | dict.fromkeys(WEIGHTS, 0.0))
    for weight in WEIGHTS:
        config.model_validate(content | dict.fromkeys(WEIGHTS, 0.0) | {weight: 0.1})


def test_augmentation_is_that_of_the_config():
    values = {"drop_stamps": 0.1, "drop_context": 0.2, "drop_features": 0.3}
    values |= {"noise": 0.4, "shift": 2, "rotation": 5.0}
    config = alert_config("invariant", **values, excluded_features=["rb"])
    assert config.augmentation._asdict() == values
    assert config.masked_features == ["rb"]


def decoder_loss(network, alerts):
    terms = compute_loss(network, alerts, torch.arange(len(alerts.pixels)) % 5)
    return terms["reconstruction"][0] + terms["denoising"][0]


def test_the_decoder_terms_train_the_decoder_alone():
    network = alert_network("invariant")
    network.load_state_dict(trained_alert_network("invariant").state_dict())
    decoder_loss(network.train(), random_alerts(20)).backward()
    trained = {n.partition(".")[0] for n, p in network.named_parameters() if p.grad is not None}
    assert trained == {"decoder"}


def test_the_encoder_learns_the_same_with_any_weights_of_the_decoder():
    changes = {"reconstruction_weight": 3.0, "denoising_weight": 0.0}
    states = [trained_alert_network("invariant", **values).state_dict() for values in ({}, changes)]
    names = [name for name in states[0] if not name.startswith("decoder.")]
    for name in names:
        assert torch.equal(states[0][name], states[1][name]), name


def test_the_denoised_stamps_have_the_orientation_of_the_alert(invariant):
    alerts = random_alerts(8)
    turned = AlertInput(*(reorient(part, 5) for part in alerts[:3]), *alerts[3:])
    denoised, expected = (
        invariant.denoise(invariant.encode(part), invariant.orientation(part))
        for part in (turned, alerts)
    )
    torch.testing.assert_close(denoised, reorient(expected, 5), atol=1e-4, rtol=0)
    torch.testing.assert_close(invariant(alerts).denoised, expected)
