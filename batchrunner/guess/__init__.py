"""A look at an export that nobody has described yet: how it is written, what its columns mean, and a job for it.

    an export (`opening`) -> its start (`head`) -> encoding (`encodings`), dialect (`dialect`) -> columns (`sampling`)
                          -> sheet, titles, declared types (`tables`) -> columns
        -> what each looks like (`looks`, `dates`) and is called (`names`) -> what is sent (`proposal`)
        -> the job file (`writing`); a job that knew the columns goes first (`remembered`)

Only `init` guesses. Everything guessed says why, and how sure that is; nothing here is used by a run.
"""

from __future__ import annotations

from batchrunner.guess.findings import Finding, Sure
from batchrunner.guess.head import Head, head_of_file
from batchrunner.guess.names import latin
from batchrunner.guess.opening import sample_of_address, sample_of_file, sample_of_stream
from batchrunner.guess.proposal import Plan, Proposal, propose
from batchrunner.guess.remembered import Remembered, job_in_ledger, jobs_in, remembered
from batchrunner.guess.sampling import Sample, sample_of
from batchrunner.guess.writing import Known, job_text, toml

__all__ = [
    "Finding",
    "Head",
    "Known",
    "Plan",
    "Proposal",
    "Remembered",
    "Sample",
    "Sure",
    "head_of_file",
    "job_in_ledger",
    "job_text",
    "jobs_in",
    "latin",
    "propose",
    "remembered",
    "sample_of",
    "sample_of_address",
    "sample_of_file",
    "sample_of_stream",
    "toml",
]
