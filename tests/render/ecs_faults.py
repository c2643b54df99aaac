"""What is wrong with the CloudFormation template of a project for Amazon ECS and no schema sees.

The rules are ECS' own: DeploymentConfiguration, ContainerDefinition, HealthCheck and CreateService of
https://docs.aws.amazon.com/AmazonECS/latest/APIReference/ (2026-11).
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.cloudformation import undefined_names

STOP_MOST_SECONDS = 120  # of stopTimeout on Fargate
START_PERIOD_MOST_SECONDS = 300  # of a container's health check
SECRET = re.compile(r"(.*)_URL|DATABASE_CA")

Json = Mapping[str, Any]


def template_faults(template: Json, values: Mapping[str, Any]) -> list[str]:
    """One sentence for each fault of deploy/template.yaml; values: the plan's, as `evaluate(...).values`."""
    resources = {name: resource.get("Properties", {}) for name, resource in template["Resources"].items()}
    return [
        *undefined_names(template),
        *_condition_faults(template),
        *_task_faults(resources, "Task", "app", "AppImage", values["secrets"]),
        *_task_faults(resources, "MigrationTask", "migrate", "MigrationImage", [values["migration_secret"]]),
        *_authority_faults(resources, values),
        *_serving_faults(resources, values),
        *_time_faults(resources, values),
        *_plan_faults(resources, values),
    ]


def option(container: Json, name: str) -> str:
    """The value after an option of a container's command; "" where the option is not there."""
    command: list[str] = container["Command"]
    return command[command.index(name) + 1] if name in command else ""


def attributes(resource: Json, key: str) -> dict[str, str]:
    """Of a load balancer or a target group."""
    return {attribute["Key"]: attribute["Value"] for attribute in resource[key]}


def containers(task: Json) -> dict[str, Json]:
    return {container["Name"]: container for container in task["ContainerDefinitions"]}


def variables(container: Json) -> dict[str, str]:
    return {variable["Name"]: variable["Value"] for variable in container.get("Environment", [])}


def _condition_faults(template: Json) -> Iterator[str]:
    """The service would not be healthy before the first migration: what needs its image waits for one."""
    for name in ("Task", "Service", "Scaling", "ScalingPolicy"):
        if template["Resources"].get(name, {"Condition": "Serves"}).get("Condition") != "Serves":
            yield f"{name} is there before an image serves"
    if template["Parameters"]["AppImage"].get("Default") != "":
        yield "AppImage cannot be left out"


def _task_faults(resources: Json, name: str, main: str, image: str, secrets: list[str]) -> Iterator[str]:
    task = resources[name]
    found = containers(task)
    app, files = found[main], found["files"]
    if task["RequiresCompatibilities"] != ["FARGATE"] or task["NetworkMode"] != "awsvpc":
        yield f"{name} is not for Fargate"
    if files["Essential"] or not app["Essential"]:
        yield f"{name}: the essential container is not {main}"
    if {"ContainerName": "files", "Condition": "SUCCESS"} not in app.get("DependsOn", []):
        yield f"{name}: {main} does not wait for its files"
    readable = resources["ExecutionRole"]["Policies"][0]["PolicyDocument"]["Statement"][0]["Resource"]
    for container in found.values():
        if container["Image"] != {"Ref": image}:
            yield f"{name}: {container['Name']} runs {container['Image']}, not {image}"
        if not container["ReadonlyRootFilesystem"]:
            yield f"{name}: {container['Name']} may change its image"
        if container["MountPoints"] != [{"SourceVolume": "tmp", "ContainerPath": "/tmp"}]:
            yield f"{name}: {container['Name']} has another /tmp"
        logs = container["LogConfiguration"]["Options"]
        if logs["awslogs-group"] != {"Ref": "Logs"}:
            yield f"{name}: {container['Name']} logs elsewhere"
        for variable in variables(container):
            if SECRET.fullmatch(variable):
                yield f"{name}: {variable} is a variable that everybody reads who may see the task"
        for secret in container.get("Secrets", []):
            if secret["ValueFrom"] not in readable:
                yield f"{name}: {secret['Name']} is a secret that the role may not read"
    expected = [secret.upper() for secret in secrets]
    if given := [secret["Name"] for secret in app["Secrets"]]:
        if given != expected:
            yield f"{name} has the secrets {given}, {main} needs {expected}"
        for secret in app["Secrets"]:
            if secret["ValueFrom"] != {"Ref": f"{secret['Name'].title().replace('_', '')}SecretArn"}:
                yield f"{name}: {secret['Name']} is another secret"
    if main == "migrate" and app["Command"] != ["python", "-m", "app.migrate"]:
        yield f"{name} runs {app['Command']}"


def _authority_faults(resources: Json, values: Mapping[str, Any]) -> Iterator[str]:
    """The certificates are a file that the first container writes where the second one looks."""
    for name, main, files in (("Task", "app", "secret_files"), ("MigrationTask", "migrate", "migration_files")):
        found = containers(resources[name])
        verifies = "database_ca" in values[files]
        code = found["files"]["Command"][-1]
        written = re.findall(r'Path\("(.+)"\)\.write_text\(os\.environ\["DATABASE_CA"\]\)', code)
        given = variables(found[main]).get("DATABASE_CA_FILE")
        if written != ([given] if given else []):
            yield f"{name}: certificates are written to {written}, read from {given}"
        if (
            bool(given) != verifies
            or [s["Name"] for s in found["files"].get("Secrets", [])] != ["DATABASE_CA"] * verifies
        ):
            yield f"{name}: certificates of the database's authority: {given}"
        if found["files"].get("User") != "0" or 'os.chmod("/tmp", 0o1777)' not in code:
            yield f"{name}: /tmp belongs to root"
    off = variables(containers(resources["Task"])["app"]).get("DATABASE_TLS")
    if off != ("off" if values["pooler"] == "pgbouncer" else None):
        yield f"DATABASE_TLS is {off}"


def _serving_faults(resources: Json, values: Mapping[str, Any]) -> Iterator[str]:
    app = containers(resources["Task"])["app"]
    target, service, listener = (resources[name] for name in ("TargetGroup", "Service", "Listener"))
    port = target["Port"]
    if option(app, "--port") != str(port) or option(app, "--host") != "0.0.0.0":
        yield "listens elsewhere"
    if app["PortMappings"] != [{"ContainerPort": port}]:
        yield f"the container's ports are {app['PortMappings']}"
    balanced = {"ContainerName": "app", "ContainerPort": port, "TargetGroupArn": {"Ref": "TargetGroup"}}
    if service["LoadBalancers"] != [balanced]:
        yield f"the load balancer asks {service['LoadBalancers']}"
    (ingress,) = resources["TaskGroup"]["SecurityGroupIngress"]
    if (ingress["FromPort"], ingress["ToPort"], ingress.get("SourceSecurityGroupId")) != (
        *(port, port),
        {"Ref": "LoadBalancerGroup"},
    ):
        yield f"the tasks let in {ingress}"
    if listener["Protocol"] != "HTTPS" or listener["DefaultActions"] != [
        {"Type": "forward", "TargetGroupArn": {"Ref": "TargetGroup"}}
    ]:
        yield "the listener does not lead to the app by HTTPS"
    (paths,) = resources["Inside"]["Conditions"]
    if set(paths["PathPatternConfig"]["Values"]) != {"/metrics", "/livez", "/readyz"}:
        yield f"everybody may ask what is not among {paths['PathPatternConfig']['Values']}"
    if target["HealthCheckPath"] != "/livez":
        yield f"a task is replaced where {target['HealthCheckPath']} fails"
    if target["HealthCheckTimeoutSeconds"] >= target["HealthCheckIntervalSeconds"]:
        yield "the load balancer's check is longer than its interval"
    if service["LaunchType"] != "FARGATE" or "CapacityProviderStrategy" in service:
        yield "tasks may end whenever Spot likes"
    groups = service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]
    if groups != [{"Ref": "TaskGroup"}, {"Ref": "DatabaseClientGroupId"}]:
        yield f"the tasks' groups are {groups}"
    given = variables(app)
    expected = {"API_DOCS": "false", "LOG_FORMAT": "json", "UVICORN_LOG_CONFIG": "app/log_config.json"}
    expected |= {"FORWARDED_ALLOW_IPS": "*"} | ({"PROMETHEUS_MULTIPROC_DIR": "/tmp"} if values["workers"] > 1 else {})
    if missing := {name for name, value in expected.items() if given.get(name) != value}:
        yield f"the app's environment lacks {', '.join(sorted(missing))}"


def _time_faults(resources: Json, values: Mapping[str, Any]) -> Iterator[str]:
    settings = values["settings"]
    app, service = containers(resources["Task"])["app"], resources["Service"]
    balancer = attributes(resources["LoadBalancer"], "LoadBalancerAttributes")
    draining = int(
        attributes(resources["TargetGroup"], "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
    )
    stop, graceful = app["StopTimeout"], int(option(app, "--timeout-graceful-shutdown"))
    if graceful != settings["graceful_stop_seconds"]:
        yield "another graceful stop than the plan's"
    if not graceful < stop <= STOP_MOST_SECONDS:
        yield f"killed after {stop} s, when requests have {graceful} s"
    held = settings["pool_timeout_seconds"] + settings["command_timeout_seconds"]
    if draining <= held:
        yield f"a request may take {held} s and is cut off after {draining} s"
    if int(option(app, "--timeout-keep-alive")) <= int(balancer["idle_timeout.timeout_seconds"]):
        yield "the app closes connections before the load balancer does"
    check = app["HealthCheck"]
    *start, code = check["Command"]
    if start != ["CMD", "python", "-c"]:
        yield f"the health check is {start}"
    compile(code, "health check", "exec")
    (young,) = (int(seconds) for seconds in re.findall(r"started \+ (\d+):", code))
    if young < draining + stop:
        yield f"a task is healthy after {young} s, one that ends may take {draining + stop} s"
    if not young <= check["StartPeriod"] <= START_PERIOD_MOST_SECONDS:
        yield f"a task that is too young for {young} s has {check['StartPeriod']} s to start"
    if service["HealthCheckGracePeriodSeconds"] < check["StartPeriod"]:
        yield "a task is replaced before it had its time to start"
    (waits,) = (int(seconds) for seconds in re.findall(r"timeout=(\d+)", code))
    if not waits < check["Timeout"] < check["Interval"]:
        yield "the health check is longer than its interval"


def _plan_faults(resources: Json, values: Mapping[str, Any]) -> Iterator[str]:
    """ECS' rounding, for each number of tasks that may be wanted: never more than planned, never none."""
    app, service, rollout = containers(resources["Task"])["app"], resources["Service"], values["rollout"]
    if option(app, "--workers") != str(values["workers"]):
        yield f"{option(app, '--workers')} workers, not {values['workers']}"
    size = (int(resources["Task"]["Cpu"]) // 1024, int(resources["Task"]["Memory"]))
    sizes = [(row["cpu"], row["memory"]) for row in values["catalog"]["deployments"]["ecs"]["sizes"]]
    if size not in sizes or (size[0] < values["workers"] and size != sizes[-1]):
        yield f"{size[0]} CPUs and {size[1]} MiB for {values['workers']} workers"
    deployment = service["DeploymentConfiguration"]
    planned = rollout["started_before"], rollout["ended_before"]
    if deployment["DeploymentCircuitBreaker"] != {"Enable": True, "Rollback": True}:
        yield "a version that never becomes healthy stays"
    scaling = resources.get("Scaling")
    least, most = (scaling["MinCapacity"], scaling["MaxCapacity"]) if scaling else (service.get("DesiredCount"),) * 2
    if scaling and "DesiredCount" in service:
        yield "each version undoes what the autoscaler did"
    if most != values["instances"]:
        yield f"{most} tasks, not {values['instances']}"
        return
    for wanted in range(least, most + 1):
        before = wanted * deployment["MaximumPercent"] // 100 - wanted
        ended = wanted + -wanted * deployment["MinimumHealthyPercent"] // 100
        if not before + ended:
            yield f"no rollout of {wanted} tasks"
        if before > planned[0] or ended > planned[1]:
            yield f"of {wanted} tasks {before} start before and {ended} end before, not {planned[0]} and {planned[1]}"
    alive = (most + 2 * before + ended) * values["workers"]
    if alive != values["processes"]:
        yield f"{alive} processes, not {values['processes']}"
    if service["AvailabilityZoneRebalancing"] != ("ENABLED" if before else "DISABLED"):
        yield "tasks cannot be moved between zones within the maximum"
