"""Labels that random walks from every node of a graph meet first."""

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import splu
from torch import Tensor

from weakseg.checks import check_same_size, check_within
from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix

UNDECIDED = 255


def harmonic_labels(affinity: SparseMatrix, seeds: Tensor, num_labels: int, *, least: float = 1e-4) -> Tensor:
    """Return the probability that a random walk from each node meets a seed of each label first: ``L_UU P = W_US Y``.

    Args:
        affinity: ``(N, N)`` symmetric, >= 0; its diagonal is not looked at.
        seeds: ``(N,)`` int64 labels in {0..num_labels - 1}; 255 where there is no seed, at least one elsewhere.
        num_labels: Number of labels.
        least: Added to each stored entry, so that every node of a connected pattern reaches a seed; > 0.

    Returns:
        ``(N, num_labels)`` float64 in [0, 1]; rows sum to one, those of seeds are one-hot.

    Raises:
        ShapeError: If there is no seed, a label is out of range, or a node reaches no seed.

    Reference:
        [grady2006randomwalks], equation 8.
    """
    check_same_size("seeds", tuple(seeds.shape), "nodes", affinity.shape[:1])
    check_within("affinity", affinity.values, 0, float("inf"))
    labels = seeds.cpu().numpy()
    known = labels != UNDECIDED
    if not known.any() or labels[known].max() >= num_labels or labels.min() < 0:
        raise ShapeError(f"seeds: expected labels from 0 to {num_labels - 1}, one at least, and 255")
    here = affinity.to("cpu")
    pattern = here.pattern
    values = np.where((pattern.rows != pattern.columns).numpy(), here.values.double().numpy() + least, 0.0)
    weights = csr_array((values, pattern.columns.numpy(), pattern.row_starts.numpy()), shape=affinity.shape)
    found = np.zeros((len(known), num_labels))
    found[known, labels[known]] = 1
    if not known.all():
        laplacian = diags_array(weights.sum(1)) - weights
        free = laplacian.tocsr()[~known]
        try:
            found[~known] = splu(free[:, ~known].tocsc()).solve(-(free[:, known] @ found[known]))
        except RuntimeError as error:
            raise ShapeError("affinity: a node reaches no seed; connect it, or seed it") from error
    return torch.from_numpy(found).clamp(0, 1).to(seeds.device)
