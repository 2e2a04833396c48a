"""Autoencoders of alerts: what every architecture owes, and what each promises."""

import pytest
import torch
from torch import nn

from ztfrep.models.alert import losses as autoencoder
from ztfrep.models.alert.base import AlertInput, AlertOutput
from ztfrep.models.alert.invariant import InvariantAutoencoder
from ztfrep.models.alert.losses import ARCHITECTURES
from ztfrep.models.alert.morphology import SHAPES

SIZES = {"latent_dim": 128, "dropout": 0.8, "classes": 5}


def build(architecture, **sizes):
    """An untrained network; the published one has no details."""
    own = {"detail": 0.5} if architecture == "invariant" else {}
    return autoencoder.build(architecture, **SIZES | own | sizes)


def stamps(n=6, seed=0):
    return torch.rand(n, 3, 21, 21, generator=torch.Generator().manual_seed(seed))


def alerts(n=6, seed=0):
    generator = torch.Generator().manual_seed(seed + 100)
    known = torch.rand(n, 26, generator=generator) < 0.9
    views = torch.randn(n, 8, 21, 21, generator=generator)
    views[:, 6:] = 1
    return AlertInput(
        stamps(n, seed),
        torch.ones(n, 3, 21, 21, dtype=torch.bool),
        views,
        torch.randn(n, 26, generator=generator) * known,
        known,
    )


def rows(given, chosen):
    return AlertInput(*(part[chosen] for part in given))


def without_stamps(given):
    return given._replace(
        pixels=torch.zeros_like(given.pixels),
        observed=torch.zeros_like(given.observed),
        views=torch.zeros_like(given.views),
    )


def without_features(given):
    return given._replace(
        features=torch.zeros_like(given.features), known=torch.zeros_like(given.known)
    )


def trained(architecture="invariant", **sizes):
    """A network whose numbers are all its own: trained a little, then at rest."""
    torch.manual_seed(1)
    model = build(architecture, **{"dropout": 0.1} | sizes)
    given, labels = alerts(40), torch.arange(40) % 5
    model.prepare(given)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(3):
        loss = losses(model.train()(given), given, labels, shapes_of(model, given))["loss"][0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_alert_becomes_a_vector_stamps_and_logits(architecture):
    model = build(architecture, latent_dim=10).eval()
    output = model(alerts())
    assert output.vectors.shape == (6, 10)
    assert output.reconstruction.shape == (6, 3, 21, 21)
    assert output.logits.shape == (6, 5)
    torch.testing.assert_close(model.encode(*alerts()), output.vectors)
    poses = model.poses(*alerts())
    torch.testing.assert_close(model.decode(output.vectors, poses), output.reconstruction)
    torch.testing.assert_close(model.logits(output.vectors), output.logits)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_an_alert_does_not_know_its_batch(architecture):
    model, given = trained(architecture), alerts()
    together = model.encode(*given)
    for place in range(6):
        alone = model.encode(*rows(given, slice(place, place + 1)))
        torch.testing.assert_close(together[place : place + 1], alone, atol=1e-5, rtol=1e-4)


def test_every_number_of_the_network_learns():
    torch.manual_seed(0)
    model = build("invariant", dropout=0.0)
    given = alerts(32)
    # Some without stamps, some without metadata: what stands for them learns too.
    for place, remove in ((slice(8), without_stamps), (slice(8, 16), without_features)):
        for part, changed in zip(given, remove(rows(given, place)), strict=True):
            part[place] = changed
    shapes = shapes_of(model, given)
    losses(model(given), given, torch.arange(32) % 5, shapes)["loss"][0].backward()
    still = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []


def test_the_published_autoencoder_has_the_published_size_and_shapes():
    model = autoencoder.build("published", **SIZES).eval()
    assert sum(p.numel() for p in model.parameters()) == 390_408
    assert model.encoder(stamps()).shape == (6, 128, 1, 1)


def test_the_published_autoencoder_has_the_published_names():
    names = {
        n: tuple(p.shape) for n, p in autoencoder.build("published", **SIZES).named_parameters()
    }
    convolutions = {
        1: (16, 3, 4, 4), 3: (32, 16, 3, 3), 6: (32, 32, 3, 3), 8: (64, 32, 3, 3),
        11: (64, 64, 3, 3), 13: (128, 64, 3, 3), 16: (128, 128, 3, 3),
    }  # fmt: skip
    transposed = {
        0: (128, 64, 2, 2), 2: (64, 64, 3, 3), 4: (64, 32, 1, 1), 6: (32, 32, 2, 2),
        8: (32, 32, 1, 1), 10: (32, 16, 3, 3), 12: (16, 16, 1, 1), 14: (16, 3, 1, 1),
    }  # fmt: skip
    linear = {2: (64, 128), 4: (64, 64), 6: (64, 64), 8: (5, 64)}
    expected = {f"encoder.{i}.weight": shape for i, shape in convolutions.items()}
    expected |= {f"encoder.{i}.bias": shape[:1] for i, shape in convolutions.items()}
    expected |= {f"decoder.{i}.weight": shape for i, shape in transposed.items()}
    expected |= {f"decoder.{i}.bias": shape[1:2] for i, shape in transposed.items()}
    expected |= {f"classifier.{i}.weight": shape for i, shape in linear.items()}
    expected |= {f"classifier.{i}.bias": shape[:1] for i, shape in linear.items()}
    assert names == expected


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_padding_by_hand_is_same():
    model = autoencoder.build("published", **SIZES)
    same = nn.Sequential(nn.ZeroPad2d(3), nn.Conv2d(3, 16, 4, padding="same"))
    same[1].load_state_dict(model.encoder[1].state_dict())
    torch.testing.assert_close(model.encoder[:2](stamps()), same(stamps()))


@pytest.fixture(scope="module")
def invariant():
    return trained()


def turn(given, times, mirrored):
    """The same sky, seen by a camera that stands otherwise."""
    found = []
    for part in given[:3]:
        part = part.flip(-2) if mirrored else part
        found.append(torch.rot90(part, times, (-2, -1)))
    return AlertInput(*found, *given[3:])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("times", range(4))
def test_vectors_do_not_change_when_the_sky_is_turned_or_mirrored(invariant, times, mirrored):
    given = alerts(20)
    expected = invariant(given)
    found = invariant(turn(given, times, mirrored))
    torch.testing.assert_close(found.vectors, expected.vectors, atol=1e-5, rtol=0)
    # The pose alone tells them apart, and the stamps are drawn as they lie.
    as_they_lie = turn(given._replace(pixels=expected.reconstruction), times, mirrored).pixels
    torch.testing.assert_close(found.reconstruction, as_they_lie, atol=1e-5, rtol=0)
    poses = [invariant.poses(*seen) for seen in (given, turn(given, times, mirrored))]
    assert (poses[0] == poses[1]).all() == (times == 0 and not mirrored)


def test_stamps_or_metadata_may_be_missing_and_what_stands_there_does_not_matter(invariant):
    given = alerts(4)
    whole = invariant.encode(*given)
    for remove in (without_stamps, without_features):
        part = remove(given)
        vectors = invariant.encode(*part)
        assert torch.isfinite(vectors).all()
        assert ((vectors - whole).abs().amax(dim=1) > 1e-3).all()
    spoilt = without_features(given)._replace(features=torch.full((4, 26), 99.0))
    torch.testing.assert_close(
        invariant.encode(*spoilt), invariant.encode(*without_features(given))
    )
    # Nor does what stands for a feature that is not known.
    one = given._replace(known=given.known & (torch.arange(26) != 4))
    other = one._replace(features=torch.where(torch.arange(26) == 4, 3.0, given.features))
    torch.testing.assert_close(invariant.encode(*one), invariant.encode(*other))
    # A pixel that is not observed says nothing.
    hole = torch.zeros(4, 3, 21, 21, dtype=torch.bool)
    hole[:, :, 3:6, 3:6] = True
    masked = given._replace(observed=~hole)
    other = masked._replace(pixels=torch.where(hole, 7.0, given.pixels))
    torch.testing.assert_close(invariant.encode(*masked), invariant.encode(*other))


def test_details_are_the_principal_components_of_the_pixels():
    model = build("invariant").eval()
    # Four patterns and their mixtures lie in a space of four dimensions.
    patterns = stamps(4)
    shares = torch.rand(60, 4, generator=torch.Generator().manual_seed(0))
    pixels = (shares @ patterns.flatten(1)).unflatten(1, (3, 21, 21))
    # All leaning to one side, so that they lie in one pose.
    views = torch.linspace(0, 1, 21).expand(60, 8, 21, 21) + 0.3 * torch.linspace(0, 1, 21)[:, None]
    given = alerts(60)._replace(pixels=pixels, views=views)
    model.prepare(given)
    torch.testing.assert_close(model(given).reconstruction, pixels, atol=1e-4, rtol=0)


def test_shapes_are_as_exact_in_mixed_precision():
    model, given = trained(), alerts(20)
    expected, _ = model.shapes(given.views)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = model.shapes(given.views)
    torch.testing.assert_close(found, expected)


def test_a_last_batch_of_one_alert_is_learnt_from():
    model, given = build("invariant"), alerts(1)
    model.prepare(alerts(40))
    parts = losses(model.train()(given), given, torch.tensor([2]), shapes_of(model, given))
    parts["loss"][0].backward()
    assert torch.isfinite(parts["loss"][0])
    assert model.look[0].weight.grad.any()


def test_numbers_of_a_vector_vary_alike_and_their_distances_are_those_of_the_stamps():
    model, given = trained(), alerts(200)
    vectors = model.encode(*given).detach()
    deviation = vectors.std(dim=0)
    assert deviation.max() < 3 * deviation.min()
    meaning, detail = model._parts(vectors)
    whole = torch.cat([meaning * model.loudness, detail], dim=1)
    apart, expected = (rows.diff(dim=0).norm(dim=1) for rows in (vectors, whole))
    torch.testing.assert_close(apart, expected, atol=0, rtol=1e-4)


def test_the_invariant_encoder_costs_at_most_four_times_the_published_one():
    def operations(architecture):
        model, found = build(architecture).eval(), 0

        def count(layer, _, output):
            nonlocal found
            places = output[0].numel() if isinstance(layer, nn.Conv2d) else layer.out_features
            found += places * layer.weight[0].numel()

        for layer in model.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.register_forward_hook(count)
        model.encode(*alerts(1))
        return found

    assert operations("invariant") <= 4 * operations("published")


@pytest.mark.parametrize("detail", [0.001, 0.3, 0.999])
def test_every_vector_has_meaning_and_detail(detail):
    model = build("invariant", latent_dim=4, detail=detail)
    assert model(alerts(20)).vectors.shape == (20, 4)
    assert 1 <= model.meaning <= 3
    assert build("invariant", latent_dim=100, detail=0.3).meaning == 70


def shapes_of(model, given):
    if not isinstance(model, InvariantAutoencoder):
        return None
    return model.shapes(given.views)


def losses(output, given, labels, shapes=None, kind="cross_entropy", **weights):
    chosen = {
        "reconstruction_weight": 0.95,
        "classification_weight": 0.05,
        "features_weight": 0.1,
        "shapes_weight": 0.1,
    }
    return autoencoder.losses(output, given, labels, shapes, kind=kind, **chosen | weights)


def output(n=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    parts = [torch.randn(n, size, generator=generator) for size in (2, 26, SHAPES, 5)]
    return AlertOutput(parts[0], stamps(n, seed), *parts[1:])


def test_what_is_not_observed_known_or_labelled_counts_nowhere():
    labels = torch.tensor([0, 1, 2, -1, 4, -1])
    given = alerts()._replace(observed=torch.rand(6, 3, 21, 21) > 0.3)
    made = output()
    shapes = torch.randn(6, SHAPES), torch.rand(6, SHAPES) > 0.5
    reference = losses(made, given, labels, shapes)
    spoilt = made._replace(
        reconstruction=torch.where(given.observed, made.reconstruction, 1e3),
        features=torch.where(given.known, made.features, 1e3),
        shapes=torch.where(shapes[1], made.shapes, 1e3),
        logits=torch.where(labels[:, None] >= 0, made.logits, 50.0),
    )
    for name, (value, weight) in losses(spoilt, given, labels, shapes).items():
        torch.testing.assert_close(value, reference[name][0])
        assert weight == reference[name][1]
    assert reference["accuracy"][1] == 4
    squared = (made.reconstruction - given.pixels)[given.observed].square().mean()
    torch.testing.assert_close(reference["reconstruction"][0], squared)
    squared = (made.features - given.features)[given.known].square().mean()
    torch.testing.assert_close(reference["features"][0], squared)
    squared = (made.shapes - shapes[0])[shapes[1]].square().mean()
    torch.testing.assert_close(reference["shapes"][0], squared)


def test_a_batch_with_nothing_to_learn_from_has_no_nan():
    nothing = without_features(without_stamps(alerts(2)))
    shapes = torch.randn(2, SHAPES), torch.zeros(2, SHAPES, dtype=torch.bool)
    parts = losses(output(2), nothing, torch.tensor([-1, -1]), shapes, contrastive_weight=1.0)
    assert parts["loss"][0] == 0


def test_like_labels_are_drawn_together():
    labels = torch.tensor([0, 0, 1, 1, -1])
    close = torch.tensor([[1, 0.1], [1, 0], [0, 1], [0.1, 1], [1, 1.0]])
    apart = close[[0, 2, 1, 3, 4]]
    assert autoencoder.contrastive_loss(close, labels) < 0.1
    assert autoencoder.contrastive_loss(apart, labels) > 1
    # Lengths say nothing, and an unlabelled row draws nobody, but all are told from it.
    torch.testing.assert_close(
        autoencoder.contrastive_loss(3 * close, labels), autoencoder.contrastive_loss(close, labels)
    )
    assert autoencoder.contrastive_loss(close, torch.full((5,), -1)) == 0


def test_the_published_loss_takes_the_softmax_twice():
    logits, labels = torch.randn(4, 5) * 3, torch.tensor([0, 1, 2, 3])
    twice = nn.functional.cross_entropy(logits.softmax(1), labels)
    once = nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(autoencoder.classification_loss(logits, labels, "published"), twice)
    torch.testing.assert_close(
        autoencoder.classification_loss(logits, labels, "cross_entropy"), once
    )
