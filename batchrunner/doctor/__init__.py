"""`doctor`: what a careful engineer tries before a first load, each with a verdict and what to do.

network     proxy, name, connection, TLS: step by step, with the standard library
platform    token, rights, scenario, clock: by requests that can only be refused
fields      the names of profile fields, as far as they are documented
batches     in which way a request about many profiles is understood
repeats     whether a repeated request is recognised, and by which header
saving      what was found, written into the job file
"""

from __future__ import annotations

from batchrunner.doctor.batches import Shape, Way, batches_of, look_at_batches
from batchrunner.doctor.fields import look_at_fields
from batchrunner.doctor.findings import Finding, Findings, Verdict, findings_text, findings_values, is_bad
from batchrunner.doctor.network import look_at_network
from batchrunner.doctor.platform import Answered, Ask, Asked, Probe, Told, Unanswered, look_at_platform
from batchrunner.doctor.repeats import Consent, Repeats, look_at_repeats
from batchrunner.doctor.saving import Setting, save

__all__ = [
    "Answered",
    "Ask",
    "Asked",
    "Consent",
    "Finding",
    "Findings",
    "Probe",
    "Repeats",
    "Setting",
    "Shape",
    "Told",
    "Unanswered",
    "Verdict",
    "Way",
    "batches_of",
    "findings_text",
    "findings_values",
    "is_bad",
    "look_at_batches",
    "look_at_fields",
    "look_at_network",
    "look_at_platform",
    "look_at_repeats",
    "save",
]
