"""Agents held against baselines."""

import agents as _agents  # noqa: F401  # before torch, for which it says how long idle threads spin
