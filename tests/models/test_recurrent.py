"""Recurrent networks of objects: what every architecture owes, and what each promises."""

import pytest
import torch
from torch import nn

from ztfrep.models.object import published_recurrent as recurrent
from ztfrep.models.object.base import PHOTOMETRY, TIMES, ObjectOutput, SeriesInput

KINDS = [
    ("published", "gru"),
    ("published", "lstm"),
    ("temporal", "gru"),
    ("temporal", "lstm"),
    ("temporal", "attention"),
]
LENGTHS = torch.tensor([1, 7, 3, 5, 2])


def network(architecture="temporal", cell="gru", dim=128):
    torch.manual_seed(0)
    model = recurrent.build(
        architecture, cell=cell, input_dim=dim, hidden=32, layers=2, dropout=0.3, classes=3
    )
    model.prepare(series(dim=dim))
    return model.eval()


def series(steps=7, dim=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    n = len(LENGTHS)
    return SeriesInput(
        torch.randn(n, steps, dim, generator=generator),
        torch.rand(n, steps, generator=generator) < 0.8,
        torch.rand(n, steps, TIMES, generator=generator),
        torch.randn(n, steps, PHOTOMETRY, generator=generator),
        LENGTHS,
    )


def of_first(given, row, steps):
    """One object as it was after its first epochs."""
    parts = [part[row : row + 1, :steps] for part in given[:-1]]
    return SeriesInput(*parts, torch.tensor([steps]))


def test_the_published_recurrent_network_has_the_published_names():
    names = {n: tuple(p.shape) for n, p in network("published").named_parameters()}
    assert names["rnn.weight_ih_l0"] == (96, 128)
    assert names["rnn.weight_hh_l1"] == (96, 32)
    linear = {0: (64, 32), 3: (32, 64), 5: (16, 32), 7: (3, 16)}
    assert {n: s for n, s in names.items() if n.startswith("fc") and n.endswith("weight")} == {
        f"fc.{i}.weight": shape for i, shape in linear.items()
    }


@pytest.mark.parametrize(("architecture", "cell"), KINDS)
def test_neither_padding_nor_the_rest_of_the_batch_changes_a_series(architecture, cell):
    model, given = network(architecture, cell), series()
    together = model.encode(*given)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = model.encode(*of_first(given, row, length))
        torch.testing.assert_close(together[row], alone[0], atol=1e-5, rtol=1e-4)
    order = torch.tensor([3, 0, 4, 2, 1])
    other = model.encode(*(part[order] for part in given))
    torch.testing.assert_close(other, together[order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("cell", ["gru", "lstm", "attention"])
def test_what_is_said_after_an_epoch_is_what_was_said_then(cell):
    model, given = network(cell=cell), series()
    steps = model(given).steps
    for row, length in enumerate(LENGTHS.tolist()):
        for seen in range(1, length + 1):
            then = model(of_first(given, row, seen)).logits[0]
            torch.testing.assert_close(steps[row, seen - 1], then, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("architecture", "cell"), KINDS)
def test_logits_are_those_of_the_vector(architecture, cell):
    model = network(architecture, cell)
    output = model(series())
    torch.testing.assert_close(model.fc(output.vectors), output.logits)
    torch.testing.assert_close(model.encode(*series()), output.vectors)


def test_what_stands_where_there_is_no_vector_does_not_matter_and_the_rest_does():
    model, given = network(), series()
    reference = model.encode(*given)
    spoilt = given._replace(vectors=torch.where(given.seen[..., None], given.vectors, 99.0))
    torch.testing.assert_close(model.encode(*spoilt), reference)
    for changed in (
        given._replace(vectors=given.vectors + 1),
        given._replace(times=given.times + 1),
        given._replace(photometry=given.photometry + 1),
        given._replace(seen=~given.seen),
    ):
        assert ((model.encode(*changed) - reference).abs().amax(dim=1) > 1e-3).all()


def losses(output, given, labels, weights=None, **options):
    return recurrent.losses(output, given, labels, weights, **options)


def test_class_weights_and_unlabelled_series():
    output = ObjectOutput(torch.zeros(5, 2), torch.randn(5, 3))
    labels = torch.tensor([0, 2, -1, -1, -1])
    plain = losses(output, series(), labels)
    each = nn.functional.cross_entropy(output.logits[:2], labels[:2], reduction="none")
    torch.testing.assert_close(plain["loss"][0], each.mean())
    weighted = losses(output, series(), labels, torch.tensor([3.0, 1.0, 0.5]))
    torch.testing.assert_close(weighted["loss"][0], (each * torch.tensor([3.0, 0.5])).mean())


def test_half_of_the_loss_is_that_of_every_epoch_and_padding_has_none():
    given, labels = series(), torch.tensor([0, 1, 2, 0, 1])
    steps = torch.randn(5, 7, 3)
    last = steps[torch.arange(5), LENGTHS - 1]
    real = torch.arange(7) < LENGTHS[:, None]
    means = [
        nn.functional.cross_entropy(steps[row, :length], labels[row].expand(length))
        for row, length in enumerate(LENGTHS.tolist())
    ]
    expected = 0.5 * nn.functional.cross_entropy(last, labels) + 0.5 * torch.stack(means).mean()
    for spoil in (0.0, 50.0):
        given_steps = torch.where(real[..., None], steps, spoil)
        found = losses(ObjectOutput(torch.zeros(5, 2), last, given_steps), given, labels)
        torch.testing.assert_close(found["loss"][0], expected)


def test_the_next_epoch_is_foretold_where_there_is_one_and_is_learned_from_without_labels():
    given = series(dim=4)
    given.photometry[..., 3] = 1
    truth = torch.cat([given.vectors, given.photometry[..., :1]], dim=2)
    foretold = torch.cat([truth[:, 1:], torch.full((5, 1, 5), 99.0)], dim=1)
    # What is foretold of padding, and of epochs without a vector, counts nowhere.
    following = torch.arange(1, 8) < LENGTHS[:, None]
    foretold = torch.where(following[..., None], foretold, 99.0)
    unseen = ~torch.cat([given.seen[:, 1:], given.seen[:, :1]], dim=1)
    foretold[..., :-1] = torch.where(unseen[..., None], 99.0, foretold[..., :-1])
    unlabelled = torch.full((5,), -1)
    output = ObjectOutput(torch.zeros(5, 2), torch.randn(5, 3), None, foretold)
    parts = losses(output, given, unlabelled, scaled=given.vectors, next_weight=1.0)
    assert parts["next"][0] == 0
    wrong = output._replace(next=foretold + 1)
    parts = losses(wrong, given, unlabelled, scaled=given.vectors, next_weight=1.0)
    # The object of one epoch has no next, the other four are off by one in both.
    seen = [bool(given.seen[row, 1:n].any()) for row, n in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(parts["loss"][0], torch.tensor((4 + sum(seen)) / 5.0))
