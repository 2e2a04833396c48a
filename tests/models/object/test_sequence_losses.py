"""Terms of the losses of object networks."""

import torch
from torch import nn

from ztfrep.models.object import sequence_losses
from ztfrep.models.object.base import last_step


def test_cross_entropy_is_per_row_weighted_by_class_and_0_where_unlabelled():
    logits = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    labels, weights = torch.tensor([0, -1, 2, 1]), torch.tensor([3.0, 1.0, 0.5])
    losses = sequence_losses.cross_entropy(logits, labels, None)
    labelled = labels >= 0
    expected = nn.functional.cross_entropy(logits[labelled], labels[labelled], reduction="none")
    torch.testing.assert_close(losses[labelled], expected)
    assert losses[1] == 0
    weighted = sequence_losses.cross_entropy(logits, labels, weights)
    torch.testing.assert_close(weighted, losses * torch.tensor([3.0, 0.0, 0.5, 1.0]))


def test_the_masked_mean_of_a_row_is_over_its_mask_and_0_if_that_is_empty():
    values = torch.tensor([[1.0, 3.0, 99.0], [99.0, 99.0, 99.0]])
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert sequence_losses.masked_mean(values, mask).tolist() == [2.0, 0.0]


def test_the_mean_over_labelled_rows_has_their_number():
    losses = torch.tensor([1.0, 0.0, 3.0])
    assert sequence_losses.mean_over_labelled(losses, torch.tensor([0, -1, 2])) == (2.0, 2)
    assert sequence_losses.mean_over_labelled(torch.zeros(2), torch.tensor([-1, -1])) == (0.0, 0)


def test_the_last_step_of_each_row_is_that_of_its_length():
    steps = torch.arange(12).view(3, 4)
    assert last_step(steps, torch.tensor([1, 4, 2])).tolist() == [0, 7, 9]
