"""Rollouts, failures and the autoscaler on Amazon ECS, played second by second: never more tasks than planned.

The model follows https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_DeploymentConfiguration.html (2026-11):
MaximumPercent of the wanted tasks, rounded down, may run or start, and those that end are not counted;
MinimumHealthyPercent, rounded up, must be healthy before one of them is told to end. What is retired or fails its check
is replaced first, then told to end. A task that never becomes healthy ends when its time to start is over, and after
three of them the circuit breaker goes back to the revision before
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/deployment-circuit-breaker.html, 2026-11).
"""

import random
from dataclasses import dataclass, field
from typing import Any

import pytest

from poolwright.questions import evaluate

SECONDS = 1500
SEEDS = range(8)
RETRY_SECONDS = 30  # three failed checks, one every 10 s
FAILURES = 3


@dataclass(eq=False)
class Task:
    revision: int
    starts_at: int  # its process; until then it holds nothing and can be taken away at once
    healthy_at: int
    fails_at: int = 0  # 0 = it becomes healthy
    leaves: bool = False  # retired, unhealthy or moved: to be replaced
    gone_at: int = 0  # 0 = not told to end


@dataclass
class Service:
    """An ECS service, one second after the other."""

    instances: int
    least: int
    maximum: int
    minimum_healthy: int
    grace_seconds: int
    healthy_seconds: int
    seed: int
    fails: bool = False
    tasks: list[Task] = field(default_factory=list)
    revision: int = 0
    now: int = 0

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.wanted = self.instances
        self.tasks = [Task(self.revision, 0, 0) for _ in range(self.wanted)]
        self.broken: set[int] = set()  # revisions that never become healthy
        self.failures = 0
        self.scaled_down_at = -SECONDS
        self.rollouts = 0

    def play(self) -> int:
        """The most tasks that were there at once."""
        most = 0
        for self.now in range(SECONDS):
            self.tasks = [task for task in self.tasks if not task.gone_at or task.gone_at > self.now]
            self._disturb()
            for _ in range(3):
                self._fail()
                self._stop()
                self._start()
            most = max(most, len(self.tasks))
        return most

    def _running(self) -> list[Task]:
        return [task for task in self.tasks if not task.gone_at]

    def _stays(self, task: Task) -> bool:
        return task.revision == self.revision and not task.leaves

    def _healthy(self, task: Task) -> bool:
        return not task.fails_at and task.healthy_at <= self.now

    def _disturb(self) -> None:
        steady = len(self.tasks) == self.wanted and all(self._stays(t) and self._healthy(t) for t in self.tasks)
        if steady and self.random.random() < 0.05:
            self.rollouts += 1
            self.revision = self.rollouts
            self.failures = 0
            if self.fails and self.random.random() < 0.5:
                self.broken.add(self.revision)
        elif steady and self.random.random() < 0.02:
            self.wanted = self.random.randint(self.least, self.wanted)
            self.scaled_down_at = self.now
        elif self.now - self.scaled_down_at > self.grace_seconds and self.random.random() < 0.02:
            self.wanted = self.random.randint(self.wanted, self.instances)
        if self.random.random() < 0.02 and (healthy := [t for t in self._running() if self._healthy(t)]):
            self.random.choice(healthy).leaves = True

    def _fail(self) -> None:
        for task in self._running():
            if task.fails_at and task.fails_at <= self.now:
                self._end(task)
                self.failures += 1
        if self.failures >= FAILURES and self.revision in self.broken:
            self.failures = 0
            self.revision = next(r for r in range(self.revision - 1, -1, -1) if r not in self.broken)

    def _start(self) -> None:
        running = self._running()
        missing = self.wanted - sum(map(self._stays, running))
        room = self.wanted * self.maximum // 100 - len(running)
        for _ in range(min(missing, room)):
            starts_at = self.now + self.random.randint(5, 20)
            healthy_at = starts_at + self.healthy_seconds + self.random.randint(1, 10)
            fails_at = healthy_at + RETRY_SECONDS if self.revision in self.broken else 0
            self.tasks.append(Task(self.revision, starts_at, healthy_at, fails_at))

    def _stop(self) -> None:
        needed = -(-self.wanted * self.minimum_healthy // 100)
        for task in sorted(self._running(), key=self._stays):
            healthy = sum(map(self._healthy, self._running()))
            surplus = not self._stays(task) or sum(map(self._stays, self._running())) > self.wanted
            if surplus and healthy - self._healthy(task) >= needed:
                self._end(task)

    def _end(self, task: Task) -> None:
        if task.starts_at > self.now:
            self.tasks.remove(task)
        else:
            task.gone_at = self.now + self.random.randint(self.grace_seconds // 2, self.grace_seconds)


def played(instances: int, surge: int, **given: int) -> list[Service]:
    """A service of each seed with the numbers that the template has, but for those given."""
    values: dict[str, Any] = evaluate({"deployment": "ecs", "instances": instances, "surge": surge}).values
    grace = values["rollout"]["grace_seconds"]
    numbers = {**values["rollout_percents"], "grace_seconds": grace, "healthy_seconds": grace} | given
    return [Service(instances=instances, seed=seed, **numbers) for seed in SEEDS]


def most_tasks(instances: int, surge: int, **given: int) -> int:
    return max(service.play() for service in played(instances, surge, **given))


@pytest.mark.parametrize(("instances", "surge"), [(1, 1), (1, 2), (4, 1), (4, 2), (4, 3), (10, 5)])
def test_the_plan_is_reached_and_never_passed(instances: int, surge: int) -> None:
    values = evaluate({"deployment": "ecs", "instances": instances, "surge": surge}).values
    assert most_tasks(instances, surge) == values["processes"] == instances + surge
    # Not covered: tasks of a version that fails end while those that replace them are taken back.
    replaced = values["rollout"]["started_before"] + values["rollout"]["ended_before"]
    assert most_tasks(instances, surge, fails=True) <= instances + surge + replaced


@pytest.mark.parametrize(("instances", "surge"), [(1, 1), (4, 2), (10, 5)])
def test_rollouts_go_on_with_as_few_tasks_as_the_autoscaler_may_want(instances: int, surge: int) -> None:
    assert rollouts(instances, surge, fewer=0) > 1


def test_with_one_task_less_rollouts_stand_still() -> None:
    assert rollouts(4, 2, fewer=1) <= 1


def rollouts(instances: int, surge: int, fewer: int) -> int:
    """How many there are of the fewest tasks that the autoscaler may want, or of so many fewer."""
    least = evaluate({"deployment": "ecs", "instances": instances, "surge": surge}).values["rollout_percents"]["least"]
    service = played(instances, surge)[0]
    service.tasks = service.tasks[: least - fewer]
    service.wanted = service.instances = service.least = least - fewer
    service.play()
    return service.rollouts


def test_a_rollout_that_does_not_wait_for_the_tasks_that_end_breaks_the_plan() -> None:
    assert most_tasks(7, 2, healthy_seconds=0) > 7 + 2


def test_the_default_of_ecs_breaks_the_plan() -> None:
    """200 %: all new tasks beside all old ones."""
    assert most_tasks(4, 2, maximum=200) > 4 + 2
