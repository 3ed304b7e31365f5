"""What the doctor has to say, as values and as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from edgews.cli.doctor.findings import Finding, Level, Step, worst

# Changes with each change that a program could notice.
VERSION: Final = 1


@dataclass(slots=True)
class StepReport:
    """What became of a step.

    Attributes:
        found: what was observed, in one sentence.
        seconds: how long it took, None where nothing was waited for.
        details: for programs.
    """

    step: Step
    found: str
    seconds: float | None = None
    findings: list[Finding] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Report:
    """All steps, in order."""

    uri: str
    steps: list[StepReport] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All findings, in the order of the steps."""
        return [finding for step in self.steps for finding in step.findings]

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return worst(self.findings) is not Level.ERROR

    @property
    def browser(self) -> Finding | None:
        """The first finding that a browser would show as a close code, None if there is none."""
        return next((finding for finding in self.findings if finding.browser), None)


def to_json(report: Report) -> dict[str, Any]:
    """Return a report for programs; docs/doctor.md describes the fields."""
    browser = report.browser
    return {
        "version": VERSION,
        "uri": report.uri,
        "ok": report.ok,
        "steps": [
            {
                "step": step.step.value,
                "ok": worst(step.findings) is not Level.ERROR,
                "seconds": None if step.seconds is None else round(step.seconds, 6),
                "found": step.found,
                "details": step.details,
            }
            for step in report.steps
        ],
        "findings": [
            {
                "id": finding.advice.id,
                "step": finding.step.value,
                "level": finding.advice.level.value,
                "title": finding.advice.title,
                "found": finding.found,
                "meaning": finding.advice.meaning,
                "changes": [str(change) for change in finding.changes],
                "browser": finding.browser or None,
            }
            for finding in report.findings
        ],
        "browser": None if browser is None else {"code": browser.browser, "because": browser.advice.id},
    }
