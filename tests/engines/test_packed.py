"""Packed weights compute what the layers compute, and leave the model as it was."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
import torch

from looptool.core import machine
from looptool.engines.packed import PackedLinear, packed
from looptool.engines.transformers import load_model
from looptool.training.checkpoints import add_lora
from tests.tiny import make_tiny_model

IDS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])


@pytest.mark.parametrize("adapters", [False, True])
def test_a_packed_model_computes_the_same(adapters: bool, tmp_path: Path) -> None:
    model, _ = load_model(make_tiny_model(tmp_path / "model"), "float32")
    if adapters:
        model = add_lora(model, rank=2, seed=0)
    before = [id(layer) for layer in model.modules()]
    with torch.inference_mode():
        plain = model(input_ids=IDS).logits
        with packed(model):
            swapped = any(isinstance(layer, PackedLinear) for layer in model.modules())
            assert swapped == (platform.machine() == "x86_64")
            torch.testing.assert_close(model(input_ids=IDS).logits, plain)
    assert [id(layer) for layer in model.modules()] == before


def test_an_error_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    model, _ = load_model(make_tiny_model(tmp_path / "model"), "float32")
    with pytest.raises(KeyboardInterrupt), packed(model):
        raise KeyboardInterrupt
    assert not any(isinstance(layer, PackedLinear) for layer in model.modules())


def test_the_number_type_of_this_machine_can_be_packed(tmp_path: Path) -> None:
    model, _ = load_model(make_tiny_model(tmp_path / "model"), machine.number_type("auto").name)
    with packed(model), torch.inference_mode():
        assert model(input_ids=IDS).logits.isfinite().all()
