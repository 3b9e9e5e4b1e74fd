"""How products are compared with ground truth."""

from typing import Literal

UndecidedPolicy = Literal["error", "background", "drop"]
Match = Literal["best", "free"]
