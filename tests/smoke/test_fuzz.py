"""The running service is asked what its own OpenAPI document allows and forbids, and answers as the document says."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import Database
from tests.smoke.traffic import StartService

EXAMPLES = 10  # for each operation, besides a case for each rule of the schema
SECONDS = 120  # on a machine that is busy with the other tests
CONFIGURATION = """
[[operations]]
include-name = "PUT /items"
# JSON Schema cannot say that each name may stand in the list once.
checks.positive_data_acceptance.enabled = false
"""


@pytest.mark.each_database
def test_a_fuzz_of_the_api_finds_nothing(
    server: Database, new_database: str, start_service: StartService, tmp_path: Path
) -> None:
    service = start_service(server.url(new_database))
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(CONFIGURATION, encoding="utf-8")
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(configuration)]
    command += ["run", f"{service.base_url}/openapi.json", "--phases", "coverage,fuzzing"]
    command += ["--max-examples", str(EXAMPLES), "--generation-deterministic", "--no-shrink", "--continue-on-failure"]
    command += ["--no-color"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert "Tested: 11" in done.stdout
    assert "Traceback" not in service.process.log()
