"""Loads that nobody watches: has the export arrived, may it be sent, where does it go afterwards, when is it enough.

names       {date:%Y-%m-%d} in paths
arrival     which files are complete, which are new: decisions, and the waiting for them
sizes       is the file suddenly small
moving      files into folders, atomically, never over another file
guards      hours, rows a run, rows a day
events      what those who are told of a night get to know
"""

from __future__ import annotations

from batchrunner.nights.arrival import Arrivals, Arrived, Sighting, markers, sighting, sightings
from batchrunner.nights.events import AS_PLANNED, NightEvent, event_of
from batchrunner.nights.guards import Guards
from batchrunner.nights.moving import move
from batchrunner.nights.names import dated, finished
from batchrunner.nights.sizes import fewest_rows, too_small

__all__ = [
    "AS_PLANNED",
    "Arrivals",
    "Arrived",
    "Guards",
    "NightEvent",
    "Sighting",
    "dated",
    "event_of",
    "fewest_rows",
    "finished",
    "markers",
    "move",
    "sighting",
    "sightings",
    "too_small",
]
