"""What numbers a learner can be given."""

from __future__ import annotations


def require_positive(**values: float) -> None:
    """Refuse keywords that are not above 0, with a ValueError that names the keyword."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be above 0, not {value!r}")


def require_share(**values: float) -> None:
    """Refuse keywords that are not above 0 and at most 1."""
    for name, value in values.items():
        if not 0 < value <= 1:
            raise ValueError(f"{name} must be above 0 and at most 1, not {value!r}")
