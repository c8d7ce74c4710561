"""The documentation's promises, kept by running it."""

import re
from pathlib import Path

import pytest
from trainyard.contract import Reason
from trainyard.settings import Settings

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", [name for name in Settings.model_fields if name != "tracking_uri"])
def test_operations_explains_every_setting(name: str) -> None:
    assert f"`TRAINYARD_{name.upper()}`" in (DOCS / "operations.md").read_text()


@pytest.mark.parametrize("reason", list(Reason))
def test_operations_explains_every_reason(reason: Reason) -> None:
    assert f"`{reason}`" in (DOCS / "operations.md").read_text()


@pytest.mark.parametrize("document", ["README.md", *sorted(path.name for path in DOCS.glob("*.md"))])
def test_links_between_documents_lead_somewhere(document: str) -> None:
    path = DOCS.parent / document if document == "README.md" else DOCS / document
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text()):
        assert (path.parent / target).exists(), target
