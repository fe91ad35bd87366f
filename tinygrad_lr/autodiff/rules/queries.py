"""Queries about the data (truths, indices, shapes, types, text): no gradient flows through them."""

from __future__ import annotations

import numpy as np

from tinygrad_lr.autodiff.rules.registry import QUERIES

# fmt: off
QUERIES.update((
    np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal,
    np.logical_and, np.logical_or, np.logical_not, np.logical_xor,
    np.isnan, np.isfinite, np.isinf, np.signbit, np.isclose, np.allclose, np.array_equal, np.array_equiv, np.isneginf, np.isposinf,
    np.all, np.any, np.count_nonzero, np.nonzero, np.flatnonzero, np.argwhere,
    np.argmax, np.argmin, np.nanargmax, np.nanargmin, np.argsort, np.argpartition, np.lexsort, np.searchsorted, np.digitize,
    np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.min_scalar_type, np.common_type,
    np.iscomplexobj, np.isrealobj, np.iscomplex, np.isreal, np.may_share_memory, np.shares_memory,
    np.linalg.matrix_rank, np.einsum_path,
    np.zeros_like, np.ones_like, np.empty_like,
    np.array_repr, np.array_str, np.array2string, np.save, np.savetxt, np.savez,
))
# fmt: on
