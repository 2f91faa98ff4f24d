"""The products that a GPU would compute, on torch's own processor device."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fmdj_cloud.errors import GpuError
from fmdj_cloud.worker.turbo.arithmetic import Blas, Torch, arithmetic_on


@pytest.fixture(params=["blas", "torch"])
def arithmetic(request):
    return Blas() if request.param == "blas" else Torch(torch.device("cpu"), "cpu", {})


def test_gram_matrices_hold_the_products_of_rows(arithmetic):
    rows = np.random.default_rng(0).normal(size=(20, 300)).astype(np.float32)
    gram = arithmetic.gram(rows)
    np.testing.assert_allclose(np.triu(gram), np.triu(rows @ rows.T), rtol=1e-4, atol=1e-3)


def test_products_are_those_of_numpy(arithmetic):
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(7, 300)).astype(np.float32), rng.normal(size=(300, 5)).astype(np.float32)
    right.flags.writeable = False  # as mapped masks are
    for taken in (right, arithmetic.hold(right)):
        np.testing.assert_allclose(arithmetic.product(left, taken), left @ right, rtol=1e-4, atol=1e-4)


def test_without_a_gpu_the_processor_computes():
    assert arithmetic_on(0).name.startswith("cpu")


def test_a_gpu_that_is_not_there_is_never_replaced(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(GpuError):
        arithmetic_on(1)
