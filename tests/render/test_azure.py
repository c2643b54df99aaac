"""The Bicep file for Azure Container Apps: whole, in the platform's limits, and never more processes than planned."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from poolwright.questions import evaluate
from tests.bicep import BicepError, read
from tests.render.artifacts import complaints, project_of, readme, spoil, with_options
from tests.render.azure_faults import PARAMETERS, bicep_faults

pytestmark = pytest.mark.xdist_group("render")

AZURE = {"deployment": "azure"}
RENDERED = with_options("azure")
OTHERS: dict[str, dict[str, Any]] = {
    "plain": AZURE,
    "workers": {**AZURE, "workers": 3, "instances": 2},
    "many-workers": {**AZURE, "workers": 20, "instances": 1},
    "long-name": {**AZURE, "project_name": "a-service-whose-name-is-so-long-that-it"},
}
CASES = {**RENDERED, **OTHERS}
FULL = "pooler-postgresql-azure-none"  # with a replica and a cache

Built = Callable[[str], tuple[Path, dict[str, Any]]]


@pytest.fixture(scope="session")
def built(projects: Mapping[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The project of a case and the plan's values."""
    root = tmp_path_factory.mktemp("azure")

    def build(name: str) -> tuple[Path, dict[str, Any]]:
        project = project_of(name, OTHERS, projects, root)
        given = {"project_name": "shop", **OTHERS[name]} if name in OTHERS else RENDERED[name]
        return project, evaluate(given).values

    return build


@pytest.mark.parametrize("case", CASES)
def test_the_file_is_without_fault(case: str, built: Built) -> None:
    project, values = built(case)
    assert bicep_faults(project / "deploy/main.bicep", values) == []


@pytest.mark.parametrize("case", CASES)
def test_the_readme_has_the_numbers(case: str, built: Built) -> None:
    project, values = built(case)
    text = readme(project)
    each, total = values["connections_per_process"], values["planned_total"]
    assert f"{values['processes']} processes x {each} connections = {total} of the {values['capacity']} " in text
    assert text.startswith(f"# On Azure Container Apps\n\nAt most {values['instances']} replica")
    assert (f" opens at most {values['pooler_connections']} to the server." in text) == values["pooled"]
    # two revisions, each with a replica more than its maximum
    assert values["processes"] == (values["instances"] + 1) * values["workers"] * 2


@pytest.mark.parametrize("case", CASES)
def test_the_readme_makes_what_the_file_names(case: str, built: Built) -> None:
    project, values = built(case)
    text, resources = readme(project), read(project / "deploy/main.bicep", **PARAMETERS)
    (names,) = re.findall(r"for secret in (.*); do", text)
    files = [*values["secret_files"], *values["migration_files"]]
    assert set(names.split()) == {name.replace("_", "-") for name in files}
    for name in files:
        assert f"> deploy/secrets/{name}\n" in text or f"cp CA.pem deploy/secrets/{name} " in text
    assert f"az identity create --name {resources['identity'].body['name']} " in text
    assert f"az containerapp env create --name {resources['environment'].body['name']} " in text
    assert f"az containerapp job start --name {resources['migration'].body['name']} " in text
    assert f"az containerapp show --name {resources['app'].body['name']} " in text
    (container,) = resources["app"].body["properties"]["template"]["containers"]
    repository = container["image"].removeprefix("${registry.properties.loginServer}/").removesuffix(":7")
    assert f'docker push "$REGISTRY.azurecr.io/{repository}:$IMAGE_TAG"' in text


@pytest.mark.parametrize("case", CASES)
def test_the_way_to_the_database_is_encrypted_where_it_is_long(case: str, built: Built) -> None:
    project, values = built(case)
    app = read(project / "deploy/main.bicep", **PARAMETERS)["app"].body["properties"]
    (container,) = app["template"]["containers"]
    given = {variable["name"]: variable["value"] for variable in container["env"]}
    assert ("DATABASE_CA_FILE" in given) == (values["pooler"] != "pgbouncer")
    assert (given.get("DATABASE_TLS") == "off") == (values["pooler"] == "pgbouncer")
    assert ("PROMETHEUS_MULTIPROC_DIR" in given) == (values["workers"] > 1)


def test_names_have_room_for_the_migration_s(built: Built) -> None:
    resources = read(built("long-name")[0] / "deploy/main.bicep", **PARAMETERS)
    assert resources["app"].body["name"] == "a-service-whose-name-is"
    # 31 letters
    assert resources["migration"].body["name"] == "a-service-whose-name-is-migrate"


def test_workers_get_processors_and_memory(built: Built) -> None:
    def size(case: str) -> tuple[int, str]:
        app = read(built(case)[0] / "deploy/main.bicep", **PARAMETERS)["app"].body["properties"]
        found: dict[str, Any] = app["template"]["containers"][0]["resources"]
        return found["cpu"], found["memory"]

    assert size("plain") == (1, "2Gi")
    assert size("workers") == (3, "6Gi")
    assert size("many-workers") == (4, "8Gi")


def test_a_replica_is_added_before_requests_wait_longer_than_planned(built: Built) -> None:
    # 3 connections, each held for 250 ms: 12 requests a second; 3 workers of 5: 60
    assert built("plain")[1]["instance_requests_per_second"] == 12
    assert built("workers")[1]["instance_requests_per_second"] == 3 * 4 * 4


def test_one_replica_of_many_is_not_scraped(built: Built) -> None:
    project, _ = built("plain")
    assert not (project / "deploy/alerts.yaml").exists()
    assert "do not scrape it" in readme(project)


# --- The commands of a version ----------------------------------------------------------------------------------------

# Stands in for Azure's command line: notes what it is asked, and the job ends as told after two looks at it.
AZ = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$3 $4" in
    "start "*) echo run-1 ;;
    "execution show")
        if [ "$(grep -c 'execution show' "$CALLS")" -gt 2 ]; then echo "$ENDS"; else echo Running; fi ;;
esac
[ "$1 $2" != "$FAILS" ]
"""


def commands(project: Path) -> str:
    """The block that migrates and deploys."""
    (block,) = re.findall(
        r"(?m)^    deploy\(\) \{.*?^    deploy false && migrate && deploy true$", readme(project), re.S
    )
    return "\n".join(line[4:] for line in block.splitlines())


def run(project: Path, folder: Path, ends: str, fails: str = "") -> tuple[int, list[str]]:
    """Run it for a job that ends so, or an `az` that fails at a command: the exit code, and what `az` was asked."""
    az, calls = folder / "az", folder / "calls"
    az.write_text(AZ, encoding="utf-8")
    az.chmod(0o755)
    calls.touch()
    names = {"GROUP": "shop", "REGISTRY": "registry", "VAULT": "vault", "IMAGE_TAG": "7"}
    environment = {**names, "CALLS": str(calls), "ENDS": ends, "FAILS": fails, "PATH": f"{folder}:{os.environ['PATH']}"}
    script = f"sleep() {{ :; }}\n{commands(project)}\n"
    done = subprocess.run(["bash", "-c", script], cwd=project, env=environment, capture_output=True, text=True)
    return done.returncode, calls.read_text(encoding="utf-8").splitlines()


def test_the_migration_comes_before_the_app(built: Built, tmp_path: Path) -> None:
    code, calls = run(built("plain")[0], tmp_path, "Succeeded")
    assert code == 0
    verbs = [" ".join(call.split()[:4]).partition(" --")[0] for call in calls]
    looks = ["containerapp job execution show"] * 3
    assert verbs == ["deployment group create", "containerapp job start", *looks, "deployment group create"]
    assert calls[0].endswith("imageTag=7 registryName=registry vaultName=vault serve=false")
    assert calls[-1].endswith("imageTag=7 registryName=registry vaultName=vault serve=true")
    assert calls[2].count("--job-execution-name run-1 ") == 1


@pytest.mark.parametrize(
    ("ends", "fails"),
    [
        ("Failed", ""),
        ("Stopped", ""),
        ("Degraded", ""),
        ("Succeeded", "containerapp job"),
        ("Succeeded", "deployment group"),
    ],
)
def test_no_app_without_its_migration(ends: str, fails: str, built: Built, tmp_path: Path) -> None:
    code, calls = run(built("plain")[0], tmp_path, ends, fails)
    assert code == 1
    assert not [call for call in calls if call.endswith("serve=true")]


def test_the_commands_give_the_file_its_parameters(built: Built) -> None:
    project, _ = built("plain")
    given = re.findall(r"(\w+)=\"\$", commands(project).partition("migrate()")[0])
    assert set(given) == PARAMETERS.keys()


def test_the_shell_of_the_readme_is_sound(built: Built, tmp_path: Path) -> None:
    script = tmp_path / "deploy.sh"
    script.write_text(f'#!/bin/bash\n: "$GROUP" "$REGISTRY" "$VAULT" "$IMAGE_TAG"\n{commands(built("plain")[0])}\n')
    assert complaints(["shellcheck", script], tmp_path) == []


# --- Planted faults: each is found ------------------------------------------------------------------------------------

# What is replaced, each time that it is there, and words of the sentence that says so.
PLANTED: dict[str, tuple[str, str, str]] = {
    "no syntax": ("      scale: {", "      scale: [", "no Bicep"),
    "a missing quote": ("image: image", "image: 'image", "no Bicep"),
    "a decorator of nobody's": ("@description('The key", "@descripton('The key", "no decorator @descripton"),
    "a type of nobody's": ("param serve bool", "param serve boolean", "no type boolean"),
    "a parameter of another type": ("param serve bool", "param serve string", "serve is a string, not True"),
    "a parameter that nobody gives": (
        "param serve bool",
        "param serve bool\nparam more int",
        "nobody says what more is",
    ),
    "a module": ("param serve bool", "param serve bool\nmodule x 'x.bicep' = { name: 'x' }", "is not read"),
    "a name of nothing": ("image: image", "image: images", "nothing is called images"),
    "a name that is used nowhere": ("param serve bool", "param serve bool\nvar more = 1", "more is used nowhere"),
    "a name twice": ("var image =", "var vault = 1\nvar image =", "vault is declared twice"),
    "a property twice": ("minReplicas: 1", "minReplicas: 1\n        minReplicas: 2", "minReplicas is there twice"),
    "a function": ("value: 'json'", "value: toLower('JSON')", "no function toLower('JSON')"),
    "an operator": ("        minReplicas: 1", "        minReplicas: 1 + 1", "is not read: 1 + 1"),
    "a resource without version": ("'Microsoft.App/jobs@2025-07-01'", "'Microsoft.App/jobs'", "no type and version"),
    "another version": (
        "Microsoft.App/jobs@2025-07-01",
        "Microsoft.App/jobs@2022-01-01",
        "version 2022-01-01, not 2025",
    ),
    "a resource of another type": ("Microsoft.App/jobs@", "Microsoft.App/tasks@", "no Microsoft.App/tasks is expected"),
    "an existing one of another type": ("Microsoft.KeyVault/vaults", "Microsoft.Vault/vaults", "nobody makes a"),
    "what exists is changed": ("  name: vaultName", "  name: vaultName\n  tags: {}", "more than a name of"),
    "a part that it has not": ("properties.vaultUri}", "properties.vaultUrl}", "has no properties.vaultUrl"),
    "a part of a variable": ("image: image", "image: image.id", "image is no resource"),
    "a name of capitals": (
        "name: 'render-test-migrate'",
        "name: 'render-test-Migrate'",
        "takes no name render-test-Migrate",
    ),
    "a long name": ("name: 'render-test-migrate'", f"name: '{'m' * 32}'", "the platform takes no name mmmm"),
    "a misspelt property": ("maxReplicas:", "maxReplica:", "template.scale: no property maxReplica"),
    "a misspelt property of the resource": ("    configuration: {", "    config: {", "no property properties.config"),
    "a property that Azure says": ("external: true", "external: true\n        fqdn: 'x'", "fqdn is Azure's to say"),
    "a property too few": ("{ path: '/livez', port: 8000 }", "{ path: '/livez' }", "httpGet: no port"),
    "text for a number": ("targetPort: 8000", "targetPort: '8000'", "targetPort: '8000' is no int"),
    "a number for text": ("concurrentRequests: '", "concurrentRequests: 1 // '", "concurrentRequests: 1 is no str"),
    "an object for a list": ("registries: registries", "registries: { server: registries }", "is no list"),
    "a word of nobody's": ("transport: 'http'", "transport: 'https'", "transport: https, not one of auto, http"),
    "another kind of volume": ("storageType: 'Secret'", "storageType: 'Secrets'", "storageType: Secrets, not one of"),
    "no time limit of the job": ("      replicaTimeout: 600\n", "", "configuration: no replicaTimeout"),
    "an answer that nobody hears": (" = if (serve) {", " = {", "serve is used nowhere"),
    "a migration with the app only": (
        "07-01' = {\n",
        "07-01' = if (serve) {\n",
        "serve=false is not the migration alone",
    ),
    "no migration": ("07-01' = {\n", "07-01' = if (false) {\n", "serve=true leaves something out"),
    "a condition that is none": ("if (serve)", "if ('serve')", "neither true nor false"),
    "another identity": ("    '${identity.id}': {}", "    '${vault.id}': {}", "runs as another identity"),
    "an identity for the code": ("lifecycle: 'None'", "lifecycle: 'All'", "its code may use the identity"),
    "a registry with a password": (", identity: identity.id }\n]\n\n//", " }\n]\n\n//", "pulls from elsewhere"),
    "a secret's value": (
        "keyVaultUrl: '${vault.properties.vaultUri}secrets/redis-url'",
        "value: 'redis'",
        "is no reference",
    ),
    "another secret": ("vaultUri}secrets/redis-url", "vaultUri}secrets/redis", "is another secret of the vault"),
    "a secret that is no file": ("            { secretRef: 'redis-url', path: 'redis_url' }\n", "", "is not both"),
    "a variable for another file": ("value: '/secrets/redis_url'", "value: '/redis_url'", "no file /redis_url"),
    "a URL in a variable": ("name: 'REDIS_URL_FILE'", "name: 'REDIS_URL'", "is read by everybody"),
    "volumes that are not mounted": ("volumeName: 'secrets'", "volumeName: 'files'", "no secrets are mounted"),
    "memory of another size": ("memory: '2Gi'", "memory: '3Gi'", "no size of 1 CPUs and 3Gi"),
    "another port": ("            '8000'", "            '8080'", "listens elsewhere"),
    "loopback": ("'0.0.0.0'", "'127.0.0.1'", "listens elsewhere"),
    "no TLS": ("allowInsecure: false", "allowInsecure: true", "serves without TLS"),
    "a probe too few": ("type: 'Startup'", "type: 'Liveness'", "the probes ['Liveness', 'Liveness', 'Readiness']"),
    "a probe of no path": ("path: '/readyz'", "path: '/health'", "Readiness: nothing at"),
    "a probe beyond the limits": ("failureThreshold: 10", "failureThreshold: 12", "failureThreshold is from 1 to 10"),
    "a probe longer than its period": ("periodSeconds: 6", "periodSeconds: 4", "Startup: longer than its period"),
    "a short start": ("failureThreshold: 10", "failureThreshold: 5", "killed after 30 s, in the middle of a start"),
    "a short grace": (
        "GracePeriodSeconds: 30",
        "GracePeriodSeconds: 25",
        "killed before its pool is closed: 20 s of 25",
    ),
    "another stop": ("            '20'", "            '10'", "another graceful stop than the plan's"),
    "several revisions": ("'Single'", "'Multiple'", "several revisions may serve"),
    "more replicas": ("maxReplicas: ", "maxReplicas: 1", " replicas, not "),
    "no replica": ("minReplicas: 1", "minReplicas: 0", "0 to "),
    "another number of workers": (
        "            '--workers'\n            '1'",
        "            '--workers'\n            '2'",
        "2 workers, not 1",
    ),
    "the default rule": ("concurrentRequests: '", "concurrentRequests: '10", "requests a second"),
    "a job that runs of itself": ("triggerType: 'Manual'", "triggerType: 'Schedule'", "runs of itself"),
    "many migrations": ("parallelism: 1", "parallelism: 2", "more than one migration"),
    "a job that serves": ("['python', '-m', 'app.migrate']", "['uvicorn']", "runs ['uvicorn']"),
    "another image": (
        "          name: 'migrate'\n          image: image",
        "          name: 'migrate'\n          image: 'x'",
        "another image than the app",
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_found(fault: str, built: Built, tmp_path: Path) -> None:
    project, values = built(FULL)
    file = shutil.copy(project / "deploy/main.bicep", tmp_path)
    text, instead, expected = PLANTED[fault]
    spoil(Path(file), text, instead)
    assert expected in "\n".join(bicep_faults(Path(file), values))


def test_a_parameter_that_is_not_there_is_refused(built: Built) -> None:
    with pytest.raises(KeyError, match="no parameter tag"):
        read(built("plain")[0] / "deploy/main.bicep", **PARAMETERS, tag="7")
    with pytest.raises(BicepError, match="nobody says what serve is"):
        read(built("plain")[0] / "deploy/main.bicep", imageTag="7", registryName="r", vaultName="v")
