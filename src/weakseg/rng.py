"""Randomness keyed by (seed, image id, purpose): list order, sharding and worker count never change a result."""

import hashlib
from random import Random

import numpy as np
import torch


def derive_seed(seed: int, image_id: str, purpose: str) -> int:
    """Return a 63-bit seed that depends on nothing but the three arguments.

    Args:
        seed: The run's seed.
        image_id: Image the numbers are for; ``""`` for numbers that belong to no image.
        purpose: What the numbers are for, so that two uses for one image are independent.

    Returns:
        Integer in [0, 2^63).
    """
    key = f"{seed}\x1f{image_id}\x1f{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") >> 1


def generator_for(seed: int, image_id: str, purpose: str) -> torch.Generator:
    """Return a CPU ``torch.Generator`` for one image and purpose."""
    return torch.Generator().manual_seed(derive_seed(seed, image_id, purpose))


def numpy_generator_for(seed: int, image_id: str, purpose: str) -> np.random.Generator:
    """Return a NumPy generator for one image and purpose."""
    return np.random.default_rng(derive_seed(seed, image_id, purpose))


def random_for(seed: int, image_id: str, purpose: str) -> Random:
    """Return a generator of Python, which is made far faster than the others, for few numbers of many images."""
    return Random(derive_seed(seed, image_id, purpose))
