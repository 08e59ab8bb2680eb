"""`dg scaffold defs` begins the file of a second account."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from activecampaign_dagster.components.source import ActiveCampaignSource, clashes
from tests.components.projects import TYPE, project


@pytest.mark.slow
def test_the_file_that_is_scaffolded_keeps_the_account_apart_from_the_first(
    tmp_path: Path,
) -> None:
    with project(tmp_path, activecampaign="description: The first") as package:
        subprocess.run(
            [str(Path(sys.executable).with_name("dg")), "scaffold", "defs", TYPE, "web-shop"],
            cwd=package.parent,
            capture_output=True,
            check=True,
        )
    text = (package / "defs" / "web-shop" / "defs.yaml").read_text(encoding="utf-8")
    written = yaml.safe_load(text)["attributes"]
    assert written == {
        "name": "web_shop",
        "url_variable": "WEB_SHOP_URL",
        "api_key_variable": "WEB_SHOP_API_KEY",
        "table_prefix": "web_shop_",
    }
    second = ActiveCampaignSource.model_validate(written)
    assert not second.mistakes()
    assert clashes([ActiveCampaignSource(), second]) == [[], []]
