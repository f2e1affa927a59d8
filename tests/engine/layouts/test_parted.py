from __future__ import annotations

import torch
from torch import nn

from turnaround.engine.layouts.parted import _lying_as, outline


def test_an_outline_has_shapes_and_names_and_buffers_but_no_parameters() -> None:
    model = nn.ModuleDict({"lstm": nn.LSTM(3, 4), "norm": nn.BatchNorm1d(4)})
    model["norm"].register_buffer("ramp", torch.arange(4.0), persistent=False)
    copied = outline(model)
    assert all(parameter.is_meta for parameter in copied.parameters())
    assert copied.state_dict().keys() == model.state_dict().keys()
    copied.load_state_dict(model.state_dict(), assign=True)
    assert torch.equal(copied["norm"].ramp, torch.arange(4.0))  # type: ignore[index]  # a dict of modules
    x = torch.randn(2, 1, 3)
    assert torch.equal(copied["lstm"](x)[0], model["lstm"](x)[0])  # type: ignore[index]  # as above


def test_a_gradient_is_handed_over_in_memory_as_its_parameter_is() -> None:
    parameter, turned = torch.zeros(3, 4), torch.randn(4, 3).T
    assert _lying_as(parameter, None) is None
    for same in (parameter, parameter.T):
        gradient = torch.ones_like(same)
        assert _lying_as(same, gradient) is gradient
    laid = _lying_as(parameter, turned)
    assert laid is not None
    assert laid.is_contiguous()
    assert torch.equal(laid, turned)
    one = torch.zeros(2, 4)[::2]  # a side of 1, whose stride says nothing
    assert _lying_as(torch.zeros(1, 4), one) is one
