"""Results as JUnit XML (the form that CI systems read: llg.cubic.org/docs/junit)."""

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

from .run import Outcome

_FORBIDDEN = {code: "\N{REPLACEMENT CHARACTER}" for code in range(32) if chr(code) not in "\t\n\r"}


def junit(results: Sequence[tuple[Path, Sequence[Outcome], str]]) -> str:
    """Of each script its outcomes, or the error that made it unusable."""
    root = ET.Element("testsuites")
    for path, outcomes, error in results:
        failed = sum(not one.passed for one in outcomes)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=str(path),
            tests=str(len(outcomes) + bool(error)),
            failures=str(failed),
            errors=str(int(bool(error))),
            time=f"{sum(one.seconds for one in outcomes):.3f}",
        )
        for one in outcomes:
            case = ET.SubElement(
                suite, "testcase", classname=path.stem, name=_text(one.case), time=f"{one.seconds:.3f}"
            )
            if one.failures:
                texts = [str(failure) for failure in one.failures]
                first = one.failures[0]
                message = f"{first.policy}: {first.what}: expected {first.expected}, got {first.got}"
                ET.SubElement(case, "failure", message=_text(message)).text = _text("\n".join(texts))
        if error:
            case = ET.SubElement(suite, "testcase", classname=path.stem, name="the script can be used", time="0")
            ET.SubElement(case, "error", message=_text(error.splitlines()[0])).text = _text(error)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _text(text: str) -> str:
    return text.translate(_FORBIDDEN)
