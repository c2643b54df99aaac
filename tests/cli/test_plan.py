"""`poolwright plan` as people and scripts read it."""

import json
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from poolwright.plan import document
from poolwright.questions import evaluate
from tests.cli.conftest import Poolwright, command, left_in


def test_json_is_the_document_and_nothing_else(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--json", "--instances", "2")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == document(evaluate({"instances": 2}))


def test_a_plan_that_does_not_fit_is_printed_and_exits_3(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--json", "--workers", "100")
    assert done.code == 3
    told = json.loads(done.out)
    assert told["fits"] is False
    assert told["remedies"] == [
        "use at most 85 processes",
        "raise max_connections to 116",
        "put a pooler in front (--pooler pgbouncer)",
    ]
    done = poolwright("plan", "--workers", "100")
    assert done.code == 3
    assert "! missing 16 (of 101 processes x 1)" in done.out
    assert done.err.startswith("The plan does not fit: ")


def test_the_table_and_the_bar_have_the_numbers(poolwright: Poolwright) -> None:
    out = poolwright("plan", "--instances", "2").out
    bar = out.splitlines()[1]
    assert len(bar) == 80
    # 78 cells for 100: S 3, R 12, A 80, headroom 5
    assert [bar.count(letter) for letter in "SRA."] == pytest.approx([2.3, 9.4, 62.4, 3.9], abs=1)
    rows = {" ".join(line.split()) for line in out.splitlines()}
    assert rows >= {"limit 100", "capacity 85 100 - 3 - 10 - 2 = 85", "pool_size 6 8 - 2 = 6", "pool_pre_ping true"}


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_nothing_is_wider_than_the_terminal(columns: int, poolwright: Poolwright) -> None:
    arguments = ("plan", "--explain", "--database", "mongodb", "--what-if", "workers=5")
    out = poolwright(*arguments, COLUMNS=str(columns)).out
    lines = [line for line in out.splitlines() if "https://" not in line]
    assert max(map(len, lines)) <= columns
    words = " ".join(out.split())
    for row in evaluate({"database": "mongodb"}).values["why"]:
        assert row["reason"] in words
        assert row["arithmetic"] in words
        assert row["source"] in out.replace("\n    ", "")


def test_what_if_stands_beside(poolwright: Poolwright) -> None:
    out = poolwright("plan", "--what-if", "instances=2", "--what-if", "reserve=20").out
    assert "What if instances=2, reserve=20:" in out
    # 100 - 3 - 20 - 2 = 75; 75 // 10 = 7
    rows = {" ".join(line.split()) for line in out.splitlines()}
    assert rows >= {"capacity 85 75 100 - 3 - 20 - 2 = 75", "connections_per_process 12 7 75 // 10 = 7"}
    told = json.loads(poolwright("plan", "--json", "--what-if", "instances=2").out)
    assert told["what_if"] == document(evaluate({"instances": 2}))


def test_what_if_that_does_not_fit_exits_3(poolwright: Poolwright) -> None:
    done = poolwright("plan", "--what-if", "workers=300")
    assert done.code == 3
    assert "301 processes" in done.err


def test_svg_is_a_picture_of_the_plan_that_needs_no_other_file(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("plan", "--svg", "plan.svg", "--instances", "2", "-q")
    assert done.code == 0
    text = (tmp_path / "plan.svg").read_text(encoding="utf-8")
    root = ElementTree.fromstring(text)
    ns = "{http://www.w3.org/2000/svg}"
    assert root.tag == f"{ns}svg"
    words = [element.text for element in root.iter(f"{ns}text")]
    assert words[0] == "100 connections of the server"
    assert words[1:] == [
        *("server 3: kept by the server", "reserve 12: people, tools, migrations"),
        *("app 80: 10 processes x 8", "headroom 5: free"),
    ]
    bars = [element for element in root.iter(f"{ns}rect") if element.get("height") == "40" and element.get("fill")]
    widths = [float(bar.attrib["width"]) for bar in bars]
    # to scale: 688 wide for 100
    assert widths == pytest.approx([688 * share / 100 for share in (3, 12, 80, 5)], abs=0.01)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "prefers-color-scheme:dark" in text


def test_svg_that_cannot_be_written_is_told(poolwright: Poolwright, tmp_path: Path) -> None:
    done = poolwright("plan", "--svg", "missing/plan.svg")
    assert done.code == 2
    assert done.err == "Cannot write missing/plan.svg: No such file or directory.\n"
    assert left_in(tmp_path) == []


def test_a_project_is_planned_from_its_answers(poolwright: Poolwright, tmp_path: Path) -> None:
    poolwright("new", "shop", "-y", "--database", "mongodb", "--workers", "2")
    told = json.loads(poolwright("plan", "shop", "--json").out)
    assert told == document(evaluate({"project_name": "shop", "database": "mongodb", "workers": 2}))
    told = json.loads(poolwright("plan", "shop", "--workers", "3", "--json").out)
    assert told["processes"] == 4
    done = poolwright("plan", "nowhere")
    assert done.code == 2
    assert done.err.startswith("nowhere is no generated project: it has no .copier-answers.yml.\n")


def test_output_is_plain_without_a_terminal_and_whoever_stops_reading_causes_no_traceback(
    poolwright: Poolwright, environment: dict[str, str], tmp_path: Path
) -> None:
    assert "\x1b" not in poolwright("plan", "--explain").out
    piped = subprocess.Popen(
        command("plan", "--json"), cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert piped.stdout is not None
    piped.stdout.close()
    _, err = piped.communicate()
    assert b"Traceback" not in err
