"""Rows become requests: pure, a chunk at a time, by a mapping that is compiled once per run."""

from __future__ import annotations

from collections.abc import Sequence

from batchrunner.config import Job
from batchrunner.errors import ConfigError
from batchrunner.mapping.compiling import Compiler
from batchrunner.mapping.mapper import RowMapper
from batchrunner.mapping.recipe import recipe_of
from batchrunner.mapping.repairs import Found, Notebook, Repairs
from batchrunner.mapping.texts import job_from_mapping_text, mapping_text, reads_alike
from batchrunner.model import Source
from batchrunner.ports import Mapper

__all__ = [
    "Found",
    "Repairs",
    "compile_mapping",
    "fetched_hosts",
    "job_from_mapping_text",
    "lint_mapping",
    "mapping_columns",
    "mapping_text",
    "reads_alike",
    "reads_files",
    "recipe_of",
    "upload_folders",
]


def compile_mapping(
    job: Job, source: Source, columns: Sequence[str], source_name: str, repairs: Repairs | None = None
) -> Mapper:
    """The Mapper of a job for a source with these columns. Raises ConfigError with every mistake, one a line.

    Damaged cells that it meets are written down in `repairs`.
    """
    compiler = Compiler(job, columns, source_name)
    plan = compiler.plan()
    if compiler.mistakes:
        raise ConfigError("\n".join(compiler.mistakes))
    return RowMapper(job, source, plan, None if repairs is None else Notebook(repairs, source_name))


def lint_mapping(job: Job) -> list[str]:
    """The mistakes of a mapping that can be found without a file, a sentence each."""
    compiler = Compiler(job)
    compiler.plan()
    return compiler.mistakes


def reads_files(job: Job) -> bool:
    """Whether the mapping puts the content of files into requests, which makes them large."""
    compiler = Compiler(job)
    compiler.plan()
    return compiler.reads_files


def upload_folders(job: Job) -> frozenset[str]:
    """The folders beneath which the mapping names files that are uploaded, as the job file writes them."""
    compiler = Compiler(job)
    compiler.plan()
    return frozenset(compiler.upload_folders)


def fetched_hosts(job: Job) -> dict[str, int]:
    """The hosts whose contents the mapping puts into requests, and how many bytes of each content at most."""
    compiler = Compiler(job)
    compiler.plan()
    return compiler.fetched_hosts


def mapping_columns(job: Job) -> list[str]:
    """The columns that the mapping names, in the order of the body."""
    compiler = Compiler(job)
    compiler.plan()
    return list(dict.fromkeys(use.column for use in compiler.uses))
