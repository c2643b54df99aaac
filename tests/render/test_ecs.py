"""The template for Amazon ECS: what cfn-lint says, what it does not see, and never more tasks than the plan counts."""

import copy
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import evaluate
from tests import cloudformation
from tests.render.artifacts import project_of, readme, with_options
from tests.render.ecs_faults import containers, template_faults, variables
from tests.render.lambda_faults import proxy_faults

pytestmark = pytest.mark.xdist_group("render")

ECS = {"deployment": "ecs"}
RENDERED = with_options("ecs")
OTHERS: dict[str, dict[str, Any]] = {
    "plain": ECS,
    "workers": {**ECS, "workers": 3, "instances": 2},
    "one": {**ECS, "instances": 1, "surge": 1},
    "both": {**ECS, "instances": 10, "surge": 5},
    "many": {**ECS, "workers": 20, "instances": 250, "max_connections": 20000},
}
CASES = {**RENDERED, **OTHERS}
FULL = "pooler-postgresql-ecs-rds-proxy"

Template = dict[str, Any]
Built = Callable[[str], tuple[Path, Template]]


@pytest.fixture(scope="session")
def built(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The project of a case and its template."""
    root = tmp_path_factory.mktemp("ecs")

    def build(name: str) -> tuple[Path, Template]:
        project = project_of(name, OTHERS, projects, root)
        return project, cloudformation.read(project / "deploy/template.yaml")

    return build


def test_every_template_passes_the_linter(built: Built) -> None:
    paths = [path for case in CASES for path in sorted((built(case)[0] / "deploy").glob("*.yaml"))]
    assert len(paths) == len(CASES) + sum("rds-proxy" in case for case in CASES)
    assert not {path: said for path, said in cloudformation.lint(*paths).items() if said}


LINTED = {
    "Type: AWS::ECS::Service\n": "Type: AWS::ECS::Services\n",
    'Memory: "2048"': 'Memory: "1024"',
    "NetworkMode: awsvpc": "NetworkMode: bridge",
    "StopTimeout: 30": "StopTimout: 30",
    "MinimumHealthyPercent: 100": "MinimumHealthyPercent: all",
    "Rollback: true": "RollBack: true",
    "!GetAtt LoadBalancer.DNSName": "!GetAtt LoadBalancer.DnsName",
    "TargetType: ip": "TargetType: task",
}


def test_the_linter_finds_planted_faults(built: Built, tmp_path: Path) -> None:
    text = (built("plain")[0] / "deploy/template.yaml").read_text(encoding="utf-8")
    planted = []
    for number, (right, wrong) in enumerate(LINTED.items()):
        assert right in text
        planted.append(tmp_path / f"{number}.yaml")
        planted[-1].write_text(text.replace(right, wrong), encoding="utf-8")
    said = cloudformation.lint(*planted)
    assert [list(LINTED)[number] for number, path in enumerate(planted) if not said[path]] == []


@pytest.mark.parametrize("case", CASES)
def test_what_the_linter_does_not_see_is_right(case: str, built: Built) -> None:
    project, template = built(case)
    values = evaluate(CASES[case]).values
    assert template_faults(template, values) == []
    proxy = project / "deploy/rds-proxy.yaml"
    assert proxy.exists() == (values["pooler"] == "rds-proxy")
    assert not proxy.exists() or proxy_faults(proxy, values) == []


@pytest.mark.parametrize("case", CASES)
def test_the_readme_has_the_numbers(case: str, built: Built) -> None:
    values = evaluate(CASES[case]).values
    text = readme(built(case)[0])
    each, total = values["connections_per_process"], values["planned_total"]
    assert f"{values['processes']} processes x {each} connections = {total} of the {values['capacity']} " in text
    assert text.startswith(f"# On Amazon ECS (Fargate)\n\nAt most {values['instances']} task")
    assert (f" opens at most {values['pooler_connections']} to the server." in text) == values["pooled"]
    assert values["processes"] == (values["instances"] + values["surge"]) * values["workers"]
    assert ("The autoscaler runs " in text) == ("Scaling" in built(case)[1]["Resources"])


@pytest.mark.parametrize("case", CASES)
def test_the_readme_gives_each_parameter_and_makes_each_secret(case: str, built: Built) -> None:
    project, template = built(case)
    text = readme(project)
    (first,) = re.findall(r"MigrationImage=\$image VpcId=.*?\n\n?    aws", text, re.DOTALL)
    given = re.findall(r"(\w+)=", re.sub(r"\$\(.*?\)", "", first))
    assert sorted(given) == sorted(name for name, one in template["Parameters"].items() if "Default" not in one)
    (names,) = re.findall(r"for secret in (.*); do", text)
    described = re.findall(r"(\w+)SecretArn=\$\(aws secretsmanager describe-secret --secret-id [\w-]+/(\w+) ", first)
    assert {name: secret.title().replace("_", "") for name, secret in described} == {
        name.removesuffix("SecretArn"): name.removesuffix("SecretArn") for name in given if name.endswith("SecretArn")
    }
    assert [secret for _, secret in described] == names.split()
    assert set(names.split()) == set(re.findall(r"(?:>|cp CA.pem) deploy/secrets/(\w+)$", text, re.MULTILINE))


def test_the_migration_comes_before_the_service(built: Built) -> None:
    project, template = built("plain")
    _, later = readme(project).split("## Each version")
    command = r"^    (?:\w+=\$\()?aws (\w+ [\w-]+).*?(--parameter-overrides \w+|$)"
    assert re.findall(command, later, re.MULTILINE)[1:] == [
        ("cloudformation get-template", ""),
        ("cloudformation deploy", "--parameter-overrides MigrationImage"),
        ("cloudformation describe-stacks", ""),
        ("ecs run-task", ""),
        ("ecs wait", ""),
        ("ecs describe-tasks", ""),
        ("cloudformation deploy", "--parameter-overrides AppImage"),
    ]
    assert template["Resources"]["MigrationTask"]["Properties"]["Family"] == "shop-migrate"
    assert "--cluster shop --task-definition shop-migrate " in later
    assert "OutputKey=='MigrationNetwork'" in later
    assert "MigrationNetwork" in template["Outputs"]


def test_the_authorities_are_those_of_all_that_is_connected_to(built: Built) -> None:
    """RDS Proxy for the app, and the instance, whose certificate another authority signed, for the migration."""
    for case in RENDERED:
        (command,) = re.findall(r"^    (\w+ .*) deploy/secrets/database_ca$", readme(built(case)[0]), re.MULTILINE)
        authorities = {word.split("/")[2] for word in command.split() if "//" in word}
        rds, proxy = "truststore.pki.rds.amazonaws.com", "www.amazontrust.com"
        expected = {rds, proxy} if "rds-proxy" in case else set() if "mongodb" in case else {rds}
        assert authorities == expected


def test_one_task_of_many_is_not_scraped(built: Built) -> None:
    project, _ = built("plain")
    assert not (project / "deploy/alerts.yaml").exists()
    assert "shows the one task that answers" in readme(project)


# --- Planted faults: each is found ------------------------------------------------------------------------------------


def of(template: Template, name: str) -> dict[str, Any]:
    found: dict[str, Any] = template["Resources"][name]["Properties"]
    return found


def container(template: Template, task: str, name: str) -> Any:
    return containers(of(template, task))[name]


def set_option(template: Template, name: str, value: str) -> None:
    command = container(template, "Task", "app")["Command"]
    command[command.index(name) + 1] = value


def reword(holder: Any, key: Any, text: str, instead: str) -> None:
    assert text in holder[key]
    holder[key] = holder[key].replace(text, instead)


def percents(template: Template, **given: int) -> None:
    of(template, "Service")["DeploymentConfiguration"].update(given)


Plant = Callable[[Template], object]

PLANTED: dict[str, tuple[Plant, str]] = {
    "a name that nobody defines": (lambda t: of(t, "Service").update(Cluster={"Ref": "Clusters"}), "Ref of Clusters,"),
    "a service before its image": (lambda t: t["Resources"]["Service"].pop("Condition"), "Service is there before"),
    "an image that must be": (lambda t: t["Parameters"]["AppImage"].pop("Default"), "AppImage cannot be left out"),
    "no Fargate": (lambda t: of(t, "Task").update(RequiresCompatibilities=["EC2"]), "Task is not for Fargate"),
    "a task that ends with its files": (
        lambda t: container(t, "Task", "files").update(Essential=True),
        "the essential container is not app",
    ),
    "no wait for the files": (lambda t: container(t, "Task", "app").pop("DependsOn"), "does not wait for its files"),
    "the migration's image": (
        lambda t: container(t, "Task", "app").update(Image={"Ref": "MigrationImage"}),
        "app runs {'Ref': 'MigrationImage'}, not AppImage",
    ),
    "an image that can be changed": (
        lambda t: container(t, "Task", "app").update(ReadonlyRootFilesystem=False),
        "app may change its image",
    ),
    "no /tmp": (lambda t: container(t, "Task", "app").update(MountPoints=[]), "app has another /tmp"),
    "another log": (
        lambda t: container(t, "Task", "app")["LogConfiguration"]["Options"].update({"awslogs-group": "shop"}),
        "app logs elsewhere",
    ),
    "a password in the template": (
        lambda t: container(t, "Task", "app")["Environment"].append({"Name": "DATABASE_URL", "Value": "postgresql:"}),
        "DATABASE_URL is a variable that everybody reads",
    ),
    "a secret that cannot be read": (
        lambda t: of(t, "ExecutionRole")["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"].remove(
            {"Ref": "RedisUrlSecretArn"}
        ),
        "REDIS_URL is a secret that the role may not read",
    ),
    "a secret too few": (lambda t: container(t, "Task", "app")["Secrets"].pop(), "Task has the secrets"),
    "the service's role for migrations": (
        lambda t: container(t, "MigrationTask", "migrate")["Secrets"][0].update(Name="DATABASE_URL"),
        "migrate needs ['MIGRATION_DATABASE_URL']",
    ),
    "the wrong secret": (
        lambda t: container(t, "Task", "app")["Secrets"][0].update(ValueFrom={"Ref": "RedisUrlSecretArn"}),
        "DATABASE_URL is another secret",
    ),
    "a migration that serves": (
        lambda t: container(t, "MigrationTask", "migrate").update(Command=["uvicorn"]),
        "MigrationTask runs ['uvicorn']",
    ),
    "certificates elsewhere": (
        lambda t: reword(container(t, "Task", "files")["Command"], -1, "/tmp/database_ca", "/tmp/ca"),
        "certificates are written to ['/tmp/ca'], read from /tmp/database_ca",
    ),
    "no certificates": (
        lambda t: container(t, "MigrationTask", "migrate").pop("Environment"),
        "certificates of the database's authority: None",
    ),
    "a /tmp of root's": (lambda t: container(t, "Task", "files").pop("User"), "/tmp belongs to root"),
    "no encryption": (
        lambda t: container(t, "Task", "app")["Environment"].append({"Name": "DATABASE_TLS", "Value": "off"}),
        "DATABASE_TLS is off",
    ),
    "another port": (lambda t: set_option(t, "--port", "8080"), "listens elsewhere"),
    "loopback": (lambda t: set_option(t, "--host", "127.0.0.1"), "listens elsewhere"),
    "a port that is not open": (
        lambda t: container(t, "Task", "app").update(PortMappings=[]),
        "the container's ports are []",
    ),
    "another container behind the load balancer": (
        lambda t: of(t, "Service")["LoadBalancers"][0].update(ContainerName="files"),
        "the load balancer asks",
    ),
    "tasks open to all": (
        lambda t: of(t, "TaskGroup")["SecurityGroupIngress"][0].pop("SourceSecurityGroupId"),
        "the tasks let in",
    ),
    "no TLS": (lambda t: of(t, "Listener").update(Protocol="HTTP"), "does not lead to the app by HTTPS"),
    "metrics for all": (
        lambda t: of(t, "Inside")["Conditions"][0]["PathPatternConfig"]["Values"].remove("/metrics"),
        "everybody may ask",
    ),
    "replaced with the database": (
        lambda t: of(t, "TargetGroup").update(HealthCheckPath="/readyz"),
        "a task is replaced where /readyz fails",
    ),
    "a check longer than its interval": (
        lambda t: of(t, "TargetGroup").update(HealthCheckTimeoutSeconds=10),
        "the load balancer's check is longer",
    ),
    "Spot": (lambda t: of(t, "Service").update(CapacityProviderStrategy=[]), "whenever Spot likes"),
    "nobody that the database lets in": (
        lambda t: of(t, "Service")["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"].pop(),
        "the tasks' groups are",
    ),
    "API docs": (
        lambda t: container(t, "Task", "app")["Environment"].remove({"Name": "API_DOCS", "Value": "false"}),
        "lacks API_DOCS",
    ),
    "another stop": (lambda t: set_option(t, "--timeout-graceful-shutdown", "10"), "another graceful stop"),
    "killed too early": (lambda t: container(t, "Task", "app").update(StopTimeout=20), "killed after 20 s"),
    "killed too late": (lambda t: container(t, "Task", "app").update(StopTimeout=121), "killed after 121 s"),
    "requests that are cut off": (
        lambda t: of(t, "TargetGroup")["TargetGroupAttributes"][0].update(Value="5"),
        "is cut off after 5 s",
    ),
    "uvicorn's own keep-alive": (
        lambda t: set_option(t, "--timeout-keep-alive", "5"),
        "the app closes connections before the load balancer does",
    ),
    "a check by a shell": (
        lambda t: container(t, "Task", "app")["HealthCheck"]["Command"].pop(0),
        "the health check is ['python', '-c']",
    ),
    "healthy too early": (
        lambda t: reword(container(t, "Task", "app")["HealthCheck"]["Command"], -1, "started + 60", "started + 30"),
        "healthy after 30 s, one that ends may take 60 s",
    ),
    "a long end": (
        lambda t: of(t, "TargetGroup")["TargetGroupAttributes"][0].update(Value="300"),
        "one that ends may take 330 s",
    ),
    "no time to start": (
        lambda t: container(t, "Task", "app")["HealthCheck"].update(StartPeriod=30),
        "has 30 s to start",
    ),
    "replaced while it starts": (
        lambda t: of(t, "Service").update(HealthCheckGracePeriodSeconds=0),
        "before it had its time to start",
    ),
    "a health check longer than its interval": (
        lambda t: container(t, "Task", "app")["HealthCheck"].update(Timeout=10),
        "the health check is longer than its interval",
    ),
    "more workers": (lambda t: set_option(t, "--workers", "2"), "2 workers, not 1"),
    "another size": (lambda t: of(t, "Task").update(Memory="4096"), "1 CPUs and 4096 MiB for 1 workers"),
    "no way back": (
        lambda t: of(t, "Service")["DeploymentConfiguration"]["DeploymentCircuitBreaker"].update(Rollback=False),
        "never becomes healthy stays",
    ),
    "a count beside the autoscaler": (
        lambda t: of(t, "Service").update(DesiredCount=4),
        "each version undoes what the autoscaler did",
    ),
    "more tasks": (lambda t: of(t, "Scaling").update(MaxCapacity=5), "5 tasks, not 4"),
    "too few tasks": (lambda t: of(t, "Scaling").update(MinCapacity=2), "no rollout of 2 tasks"),
    "twice as many in a rollout": (
        lambda t: percents(t, MaximumPercent=200),
        "of 4 tasks 4 start before and 0 end before, not 1 and 0",
    ),
    "fewer that serve": (
        lambda t: percents(t, MinimumHealthyPercent=50),
        "of 4 tasks 1 start before and 2 end before, not 1 and 0",
    ),
    "a rollout that stands still": (lambda t: percents(t, MaximumPercent=124), "no rollout of 4 tasks"),
    "no move between zones": (
        lambda t: of(t, "Service").update(AvailabilityZoneRebalancing="DISABLED"),
        "cannot be moved between zones",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, built: Built) -> None:
    _, template = copy.deepcopy(built(FULL))
    plant, expected = PLANTED[fault]
    plant(template)
    assert expected in "\n".join(template_faults(template, evaluate(CASES[FULL]).values))


def test_the_workers_share_their_metrics(built: Built) -> None:
    def directory(case: str) -> str | None:
        return variables(container(built(case)[1], "Task", "app")).get("PROMETHEUS_MULTIPROC_DIR")

    assert directory("workers") == "/tmp"
    assert directory("plain") is None
