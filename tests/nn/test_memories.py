from __future__ import annotations

import torch
from torch import nn

from turnaround.nn.memories import remember


def test_cells_keep_what_they_know_for_one_step_up_to_the_longest() -> None:
    lstm = nn.LSTM(3, 5, num_layers=2)
    remember(lstm, longest=100)
    for layer in range(2):
        enters, keeps = lstm.get_parameter(f"bias_hh_l{layer}")[:10].sigmoid().chunk(2)
        torch.testing.assert_close(enters + keeps, torch.ones(5))
        lasts = 1 / (1 - keeps)  # steps until 1/e is left, about
        torch.testing.assert_close(lasts, torch.linspace(2, 100, 5), rtol=1e-4, atol=0)


def test_of_two_steps_all_cells_are_alike() -> None:
    lstm = nn.LSTM(3, 5)
    remember(lstm, longest=2)
    assert not lstm.get_parameter("bias_hh_l0")[:10].any()
