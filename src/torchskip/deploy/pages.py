"""Keeping the pages of freed memory, so that the next call finds them in place."""

from __future__ import annotations

import torch

__all__ = ["keep_pages"]

# The largest block that moves the GNU allocator's thresholds, less its header and alignment.
_LARGEST = 32 * 2**20 - 2**13


def keep_pages() -> None:
    """Let the GNU allocator keep up to 64 MiB of freed memory, instead of 256 KiB.

    It raises its thresholds whenever a block of up to 32 MiB is freed: smaller ones then come from
    the heap, which is given back to the system where more than twice that is free at its end. A
    model whose largest value has one megabyte would otherwise give its memory back after every
    layer, and fault it in again. Elsewhere this does nothing.
    """
    torch.empty(_LARGEST, dtype=torch.uint8)
