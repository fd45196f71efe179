"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine must not fail a test: how long an example takes says nothing about whether it is right.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")
