"""batchrunner: a CRM export goes through a marketing API, every row accounted for, nobody messaged twice."""

__version__ = "0.1.0"
