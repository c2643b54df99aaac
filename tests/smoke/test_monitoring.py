"""The alerts and the dashboard ask for metrics and labels that a running service has."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import promql_parser
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.smoke.traffic import new_item

# One layer is enough: the metrics are the same code for all.
pytestmark = pytest.mark.databases("sqlite")

OF_THE_SCRAPE = {"job", "instance", "le"}  # labels that Prometheus adds, and a histogram's own
GRAFANA_INTERVAL = ("$__rate_interval", "5m")

Samples = dict[str, set[str]]  # of each metric its labels


@pytest.fixture
def samples(client: httpx2.Client) -> Samples:
    new_item(client)
    client.get("/items")
    found: Samples = {}
    for family in text_string_to_metric_families(client.get("/metrics").text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def alerts(project: Path) -> Iterator[str]:
    document = yaml.safe_load((project / "deploy/alerts.yaml").read_text(encoding="utf-8"))
    for group in document["groups"]:
        for rule in group["rules"]:
            assert rule["annotations"].keys() >= {"summary", "description"}
            yield rule["expr"]


def panels(project: Path) -> Iterator[str]:
    document = json.loads((project / "deploy/dashboard.json").read_text(encoding="utf-8"))
    for panel in document["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace(*GRAFANA_INTERVAL)


def faults(expression: str, samples: Samples) -> list[str]:
    """What the expression asks for and the service does not have."""
    try:
        parsed = promql_parser.parse(expression)
    except ValueError as error:
        return [f"{expression}: {error}"]
    found = []
    for selector in selectors(parsed):
        if selector.name not in samples:
            found.append(f"{expression}: there is no {selector.name}")
            continue
        grouped = re.findall(r"by \(([^)]*)\)", expression)
        asked = {label.strip() for group in grouped for label in group.split(",")}
        asked |= {matcher.name for matcher in selector.matchers.matchers}
        unknown = asked - samples[selector.name] - OF_THE_SCRAPE
        found += [f"{expression}: {selector.name} has no label {label}" for label in unknown]
    return found


def selectors(expression: Any) -> Iterator[Any]:
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    inner = [getattr(expression, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    for part in [*inner, *getattr(expression, "args", [])]:
        if part is not None:
            yield from selectors(part)


def test_each_alert_and_panel_asks_for_what_is_there(project: Path, samples: Samples) -> None:
    expressions = [*alerts(project), *panels(project)]
    assert len(expressions) > 10
    assert [fault for expression in expressions for fault in faults(expression, samples)] == []


def test_the_alert_for_too_many_processes_is_silent_at_the_plan_s_number(project: Path) -> None:
    plan = (project / "app/plan.py").read_text(encoding="utf-8")
    (processes,) = re.findall(r"# processes: .* = (\d+)", plan)
    sizes = [int(re.findall(rf"^{name} = (\d+)", plan, re.MULTILINE)[0]) for name in ("POOL_SIZE", "MAX_OVERFLOW")]
    (limit,) = re.findall(r"db_pool_limit\) > (\d+)$", "\n".join(alerts(project)), re.MULTILINE)
    assert int(limit) == int(processes) * sum(sizes)


@pytest.mark.parametrize(
    "expression",
    [
        "sum by (job, server (db_pool_in_use)",
        "sum by (job, server) (db_pool_used)",
        "sum by (job, database) (db_pool_in_use)",
        'sum by (job) (rate(http_request_seconds_count{code="504"}[5m]))',
        "rate(db_pool_refused[5m])",
    ],
)
def test_a_planted_fault_is_found(expression: str, samples: Samples) -> None:
    assert faults(expression, samples)
