"""What the doctor makes of answers, names and job files: no network here."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from batchrunner.api.probes import ProbeAnswer
from batchrunner.doctor import (
    Answered,
    Ask,
    Asked,
    Consent,
    Finding,
    Probe,
    Setting,
    Told,
    Unanswered,
    Verdict,
    look_at_fields,
    look_at_platform,
    look_at_repeats,
    save,
)
from batchrunner.errors import ConfigError

ASKED = Asked(workflow_id=12)
NOON_MS = 1_700_000_000_000


def said(
    error: int | None, text: str = "", *, status: int = 200, replayed: bool = False, late_s: float = 0
) -> Answered:
    """An answer that came at once, from a server whose clock is so late."""
    at = datetime.fromtimestamp(NOON_MS / 1000 - late_s, UTC)
    return Answered(ProbeAnswer(status, error, text, None, replayed, at, None, None), NOON_MS, NOON_MS)


def asking(*answers: Told) -> Ask:
    """Give these answers in turn, the last one for ever."""
    left = list(answers)

    def ask(probes: Sequence[Probe]) -> list[Told]:
        return [left.pop(0) if len(left) > 1 else left[0] for _ in probes]

    return ask


def verdicts(findings: Sequence[Finding]) -> dict[str, Verdict]:
    """By check."""
    return {finding.check: finding.verdict for finding in findings}


# --- the platform ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "check", "verdict"),
    [
        (said(404), "token", Verdict.OK),
        (said(400), "rights", Verdict.OK),
        (said(401), "token", Verdict.BAD),
        (said(None, status=401), "token", Verdict.BAD),
        (said(402), "token", Verdict.BAD),
        (said(403), "rights", Verdict.BAD),
        (said(501), "rights", Verdict.BAD),
        (said(500), "token", Verdict.UNKNOWN),
        (said(None, status=302), "answer", Verdict.BAD),
        (said(404, late_s=30), "clock", Verdict.OK),
        (said(404, late_s=-120), "clock", Verdict.WARN),
        (said(404, late_s=1200), "clock", Verdict.BAD),
        (Unanswered("connect", "refused"), "answer", Verdict.BAD),
    ],
)
def test_an_answer_tells_of_token_rights_and_clock(answer: Told, check: str, verdict: Verdict) -> None:
    """One answer, one verdict for each thing that it is about."""
    assert verdicts(look_at_platform(ASKED, asking(answer), "the environment"))[check] is verdict


NO_LIST = said(501)


def listed(*scenarios: dict[str, object]) -> Answered:
    """The documented list of scenarios."""
    answer = ProbeAnswer(200, 0, "", {"data": list(scenarios), "error": 0}, False, None, None, None)
    return Answered(answer, NOON_MS, NOON_MS)


@pytest.mark.parametrize(
    ("scenarios", "verdict", "says"),
    [
        ([{"id": 12, "name": "Spring", "is_active": True}], Verdict.OK, "scenario 12 is 'Spring', and active"),
        ([{"id": 12, "name": "Spring", "is_active": False}], Verdict.BAD, "it is not active"),
        ([{"id": 13, "name": "Other", "is_active": True}], Verdict.BAD, "not among those that the token may see"),
        ([], Verdict.BAD, "not among those that the token may see"),
    ],
)
def test_a_scenario_is_looked_up_in_the_list(scenarios: list[dict[str, object]], verdict: Verdict, says: str) -> None:
    """Whether it is there, and active."""
    found = look_at_platform(ASKED, asking(said(404), listed(*scenarios)), "x")[-1]
    assert (found.check, found.verdict) == ("scenario", verdict)
    assert says in found.text


def test_without_a_list_a_scenario_is_known_by_how_it_is_refused() -> None:
    """Only a difference tells; the number in the text is none."""
    known = look_at_platform(ASKED, asking(said(404, "profile"), NO_LIST, said(404, "workflow 2147483647")), "x")
    alike = look_at_platform(ASKED, asking(said(404, "workflow 12"), NO_LIST, said(404, "workflow 2147483647")), "x")
    assert verdicts(known)["scenario"] is Verdict.OK
    assert verdicts(alike)["scenario"] is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        Asked("workflows/start", "id", 12),
        Asked("profiles/import", None, None, 3),
        Asked("profiles/update", None),
    ],
)
def test_the_probes_can_only_be_refused(asked: Asked) -> None:
    """By an id that nobody has: nothing is created by it, and there is nobody to engage. The list is only read."""
    seen: list[Probe] = []

    def ask(probes: Sequence[Probe]) -> list[Told]:
        seen.extend(probes)
        return [said(404) for _ in probes]

    look_at_platform(asked, ask, "x")
    look_at_repeats(asked, None, ask, lambda: "id", says_it_does=True)
    assert len(seen) >= 5
    for probe in seen:
        if probe.path == "workflows/list":
            continue
        assert probe.path == asked.call
        assert set(probe.body) <= {"matching", "profile_id", asked.scenario, "db_id"}
        assert probe.body["matching"] == "profile_id"
        assert set(probe.body["profile_id"]) == {"0"}


# --- repeats --------------------------------------------------------------------------------------

FIRST, AGAIN = said(404), said(404, replayed=True)
IMPORTED, IMPORTED_AGAIN = said(0), said(0, replayed=True)
CONSENT = Consent("me@example.com", 3)


@pytest.mark.parametrize(
    ("answers", "consent", "headers", "verdict"),
    [
        ((FIRST, AGAIN, FIRST, AGAIN), None, ("Request-ID", "X-Request-ID"), Verdict.OK),
        ((FIRST, FIRST, FIRST, AGAIN), None, ("X-Request-ID",), Verdict.OK),
        ((FIRST,), None, None, Verdict.UNKNOWN),
        ((*[FIRST] * 4, IMPORTED, IMPORTED, IMPORTED_AGAIN, IMPORTED), CONSENT, ("Request-ID",), Verdict.OK),
        ((*[FIRST] * 4, IMPORTED), CONSENT, (), Verdict.BAD),
        ((*[FIRST] * 4, said(403)), CONSENT, None, Verdict.UNKNOWN),
    ],
)
def test_repeats_are_told_by_the_platforms_own_mark(
    answers: tuple[Told, ...], consent: Consent | None, headers: tuple[str, ...] | None, verdict: Verdict
) -> None:
    """First by refusals; by imports only where somebody has agreed to them."""
    found = look_at_repeats(ASKED, consent, asking(*answers), lambda: "id", says_it_does=True)
    assert found.recognised_by == headers
    assert found.findings[0].verdict is verdict


def test_without_consent_nothing_is_imported() -> None:
    """However much would be learned."""
    paths: list[str] = []

    def ask(probes: Sequence[Probe]) -> list[Told]:
        paths.extend(probe.path for probe in probes)
        return [FIRST for _ in probes]

    look_at_repeats(ASKED, None, ask, lambda: "id", says_it_does=True)
    assert set(paths) == {"workflows/import_and_start"}


def test_with_consent_the_named_profile_is_imported_without_a_field() -> None:
    """By the address or by the id, and without starting anything."""
    bodies: list[object] = []

    def ask(probes: Sequence[Probe]) -> list[Told]:
        bodies.extend(probe.body for probe in probes if probe.path == "profiles/import")
        return [IMPORTED for _ in probes]

    for profile in ("me@example.com", "5eeb54a2ce9448518e85fdad"):
        look_at_repeats(ASKED, Consent(profile, 3), ask, lambda: "id", says_it_does=True)
    rest = {"db_id": 3, "data": {}, "skip_triggers": True}
    assert bodies[0] == {"matching": "email", "email": "me@example.com", **rest}
    assert bodies[-1] == {"matching": "profile_id", "profile_id": "5eeb54a2ce9448518e85fdad", **rest}


def test_a_job_that_is_wrong_about_repeats_is_told_so() -> None:
    """In either direction."""
    does = look_at_repeats(ASKED, None, asking(FIRST, AGAIN), lambda: "id", says_it_does=False)
    assert "set target.deduplicates = true" in (does.findings[0].advice or "")
    does_not = look_at_repeats(ASKED, CONSENT, asking(*[FIRST] * 4, IMPORTED), lambda: "id", says_it_does=True)
    assert "set target.deduplicates = false" in (does_not.findings[0].advice or "")


# --- fields ---------------------------------------------------------------------------------------


def test_a_slip_in_a_field_of_the_platform_is_seen() -> None:
    """Names with _ are documented; others can only be listed."""
    found = look_at_fields(["_fnmae", "_lname", "email", "colour"])
    assert [finding.verdict for finding in found] == [Verdict.WARN, Verdict.UNKNOWN]
    assert "_fnmae (did you mean _fname?)" in found[0].text
    assert "colour" in found[1].text
    assert look_at_fields(["email", "phones", "_tz"])[0].verdict is Verdict.OK


# --- the job file ----------------------------------------------------------------------------------

JOB = """\
# the welcome job
name = "welcome"

[target]   # production
url = "https://example.com"
deduplicates = false    # until we know
workflow_id = 12
"""


def setting(value: bool = True) -> Setting:
    """The one that is saved today."""
    return Setting("target", "deduplicates", value, "found by doctor, 2026-11-24")


def test_saving_changes_a_value_and_nothing_else(tmp_path: Path) -> None:
    """Comments, order and spaces stay as a person has written them; so does who may read the file."""
    path = tmp_path / "job.toml"
    path.write_text(JOB, encoding="utf-8")
    path.chmod(0o640)
    assert save(path, [setting()]) == ["target.deduplicates"]
    assert path.read_text(encoding="utf-8") == JOB.replace("= false", "= true")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert save(path, [setting()]) == []
    assert [one.name for one in tmp_path.iterdir()] == ["job.toml"]


def test_saving_adds_a_key_with_its_reason(tmp_path: Path) -> None:
    """Also a table, and in an inline table without a comment, for which it has no room."""
    path = tmp_path / "job.toml"
    path.write_text(JOB.replace("deduplicates = false    # until we know\n", ""), encoding="utf-8")
    save(path, [setting()])
    assert "deduplicates = true  # found by doctor, 2026-11-24\n" in path.read_text(encoding="utf-8")
    path.write_text('name = "welcome"\ntarget = { url = "https://example.com", workflow_id = 12 }\n', encoding="utf-8")
    save(path, [setting(), Setting("connection", "ip", "4", "why")])
    text = path.read_text(encoding="utf-8")
    assert "workflow_id = 12, deduplicates = true}" in text.replace(" }", "}")
    assert '[connection]\nip = "4"  # why\n' in text


def test_a_job_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """With the findings still on the screen."""
    path = tmp_path / "job.toml"
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(ConfigError, match="the findings cannot be saved"):
        save(path, [setting()])
