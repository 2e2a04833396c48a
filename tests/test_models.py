import pytest
import torch
from torch import nn

from ztfrep.models import autoencoder, recurrent

SIZES = {"latent_dim": 128, "dropout": 0.8, "classes": 5}


def alerts(n=6, seed=0):
    return torch.rand(n, 3, 21, 21, generator=torch.Generator().manual_seed(seed))


def test_the_published_autoencoder_has_the_published_size_and_shapes():
    model = autoencoder.build("published", **SIZES).eval()
    assert sum(p.numel() for p in model.parameters()) == 390_408
    output = model(alerts())
    assert [tuple(part.shape) for part in output] == [(6, 128), (6, 3, 21, 21), (6, 5)]
    assert model.encoder(alerts()).shape == (6, 128, 1, 1)


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
    torch.testing.assert_close(model.encoder[:2](alerts()), same(alerts()))


def test_the_vector_may_have_another_length():
    model = autoencoder.build("published", latent_dim=10, dropout=0.0, classes=5)
    assert model(alerts()).vectors.shape == (6, 10)
    assert model(alerts()).reconstruction.shape == (6, 3, 21, 21)


def losses(output, pixels, observed, labels, kind="cross_entropy"):
    return autoencoder.losses(
        output, pixels, observed, labels,
        kind=kind, reconstruction_weight=0.95, classification_weight=0.05,
    )  # fmt: skip


def test_what_is_not_observed_or_labelled_counts_nowhere():
    pixels, labels = alerts(), torch.tensor([0, 1, 2, -1, 4, -1])
    output = autoencoder.AlertOutput(torch.zeros(6, 2), alerts(seed=1), torch.randn(6, 5))
    observed = torch.rand(6, 3, 21, 21) > 0.3
    reference = losses(output, pixels, observed, labels)
    spoilt = output._replace(
        reconstruction=torch.where(observed, output.reconstruction, 1e3),
        logits=torch.where(labels[:, None] >= 0, output.logits, 50.0),
    )
    for name, (value, weight) in losses(spoilt, pixels, observed, labels).items():
        torch.testing.assert_close(value, reference[name][0])
        assert weight == reference[name][1]
    assert reference["accuracy"][1] == 4
    squared = (output.reconstruction - pixels)[observed].square().mean()
    torch.testing.assert_close(reference["reconstruction"][0], squared)


def test_a_batch_with_nothing_to_learn_from_has_no_nan():
    output = autoencoder.AlertOutput(torch.zeros(2, 2), alerts(2), torch.randn(2, 5))
    nothing = torch.zeros(2, 3, 21, 21, dtype=torch.bool)
    parts = losses(output, alerts(2), nothing, torch.tensor([-1, -1]))
    assert parts["loss"][0] == 0


def test_the_published_loss_takes_the_softmax_twice():
    logits, labels = torch.randn(4, 5) * 3, torch.tensor([0, 1, 2, 3])
    twice = nn.functional.cross_entropy(logits.softmax(1), labels)
    once = nn.functional.cross_entropy(logits, labels)
    torch.testing.assert_close(autoencoder.classification_loss(logits, labels, "published"), twice)
    torch.testing.assert_close(
        autoencoder.classification_loss(logits, labels, "cross_entropy"), once
    )


def series_model(cell="gru"):
    return recurrent.build(
        "published", cell=cell, input_dim=128, hidden=32, layers=2, dropout=0.3, classes=3
    ).eval()


def test_the_published_recurrent_network_has_the_published_names():
    names = {n: tuple(p.shape) for n, p in series_model().named_parameters()}
    assert names["rnn.weight_ih_l0"] == (96, 128)
    assert names["rnn.weight_hh_l1"] == (96, 32)
    linear = {0: (64, 32), 3: (32, 64), 5: (16, 32), 7: (3, 16)}
    assert {n: s for n, s in names.items() if n.startswith("fc") and n.endswith("weight")} == {
        f"fc.{i}.weight": shape for i, shape in linear.items()
    }


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_neither_padding_nor_the_rest_of_the_batch_changes_a_series(cell):
    model = series_model(cell)
    series, lengths = torch.randn(5, 7, 128), torch.tensor([1, 7, 3, 5, 2])
    together = model.encode(series, lengths)
    for place, length in enumerate(lengths):
        alone = model.encode(series[place : place + 1, :length], lengths[place : place + 1])
        torch.testing.assert_close(together[place], alone[0])


def test_class_weights_and_unlabelled_series():
    output = recurrent.ObjectOutput(torch.zeros(3, 2), torch.randn(3, 3))
    labels = torch.tensor([0, 2, -1])
    plain = recurrent.losses(output, labels, None)
    each = nn.functional.cross_entropy(output.logits[:2], labels[:2], reduction="none")
    torch.testing.assert_close(plain["loss"][0], each.mean())
    weighted = recurrent.losses(output, labels, torch.tensor([3.0, 1.0, 0.5]))
    torch.testing.assert_close(weighted["loss"][0], (each * torch.tensor([3.0, 0.5])).mean())
