"""The census of the long form, tried at one statement of each command: its scenes hold what they say."""

from __future__ import annotations

import pytest
from census import SCENES, Scene, one_death
from ordeal import TOTAL

from batchrunner.sandbox import Handle


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_each_command_that_writes_to_the_ledger_is_killed_at_a_statement(sandbox: Handle, scene: Scene) -> None:
    """`make faults LONG=1 EVERY=1` goes through all of them."""
    assert one_death(scene, sandbox, 11, TOTAL)
