import numpy as np
import pytest
import torch
from torch import nn

from ztfrep.encoders.batches import encode


class Linear(nn.Linear):
    def encode(self, x):
        return self(x)


def test_encoding_does_not_depend_on_the_batch_and_refuses_nan():
    model, x = Linear(3, 2), torch.randn(10, 3)
    device = torch.device("cpu")
    whole = encode(model, [x], device, "float32")
    parts = [encode(model, [part], device, "float32") for part in x.split(4)]
    np.testing.assert_allclose(whole, np.concatenate(parts), rtol=1e-6)
    assert whole.dtype == np.float32
    with pytest.raises(ValueError, match="not finite"):
        encode(model, [x * torch.nan], device, "float32")
