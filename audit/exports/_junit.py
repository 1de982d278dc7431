"""JUnit XML, as Jenkins' xUnit schema (junit-10.xsd) has it."""

from xml.etree import ElementTree as ET

from audit.exports._rows import Export, Row, shown


def junit(export: Export) -> str:
    """Return one test case for each claim, in a suite for each probe.

    JUnit has four outcomes and claims have more: an undecided claim, a waived one, one that does
    not block and one whose slice is empty are *skipped* with the reason; only a claim that turns
    the exit code to 1 is a *failure*, and a crashed probe is an *error*.
    """
    root = ET.Element("testsuites", name="evenhand")
    probes = dict.fromkeys(row.verdict.claim.measurement.split(".")[0] for row in export.rows)
    for probe in probes:
        mine = [r for r in export.rows if r.verdict.claim.measurement.split(".")[0] == probe]
        suite = _suite(root, shown(probe), [_KIND[row.outcome] for row in mine])
        for row in mine:
            _case(suite, row, export.path)
    if export.problems:
        suite = _suite(root, "waivers", ["error"] * len(export.problems))
        for i, problem in enumerate(export.problems):
            case = ET.SubElement(suite, "testcase", classname="waivers", name=f"waiver {i + 1}")
            ET.SubElement(case, "error", message=problem, type="waiver")
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


_KIND = {
    "failed": "failure",
    "error": "error",
    "undecided": "skipped",
    "noted": "skipped",
    "off": "skipped",
    "passed": "",
}


def _suite(root: ET.Element, name: str, kinds: list[str]) -> ET.Element:
    return ET.SubElement(
        root,
        "testsuite",
        name=name,
        tests=str(len(kinds)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
    )


def _case(suite: ET.Element, row: Row, path: str) -> None:
    metric = row.verdict.claim.measurement.partition("[")[0]
    case = ET.SubElement(suite, "testcase", classname=shown(metric), name=row.claim)
    # The schema has no place for a file and a line; a reader finds them in the text.
    text = f"{row.message} ({shown(path)}, line {row.line})"
    kind = _KIND[row.outcome]
    if kind:
        said = f"{row.outcome}: {row.word}. {row.why}"
        child = ET.SubElement(case, kind, message=said)
        child.text = text
        if kind != "skipped":
            child.set("type", row.verdict.status)
    else:
        ET.SubElement(case, "system-out").text = text
