"""A gated recurrent unit whose states are maps."""

import torch
from torch import Tensor, nn


class ConvGru(nn.Module):
    """Update of a state h by a message m: ``h' = (1 - u) h + u o``.

    With z = [m ; h]: ``u = sigmoid(W_u z + b_u)``, ``r = sigmoid(W_r z + b_r)``, ``o = tanh(W_o [m ; r h] + b_o)``.

    Reference:
        [li2021groupwsss], equation 8.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 2 * channels, kernel, padding=kernel // 2)  # u, then r
        self.candidate = nn.Conv2d(2 * channels, channels, kernel, padding=kernel // 2)

    def forward(self, message: Tensor, state: Tensor) -> Tensor:
        """Return the new ``(n, C, H, W)`` states."""
        update, reset = torch.sigmoid(self.gates(torch.cat([message, state], 1))).chunk(2, 1)
        candidate = torch.tanh(self.candidate(torch.cat([message, reset * state], 1)))
        return state + update * (candidate - state)
