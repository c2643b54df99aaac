"""Latency and throughput over rising concurrency, and where the pool is full: the README says how to run it."""

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import gevent
import requests
from levels import Level, draw, table
from locust import FastHttpUser, LoadTestShape, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment

REFUSED = 503
SAMPLE_SECONDS = 0.1
TIMEOUT_SECONDS = 10
IN_USE, LIMIT = "db_pool_in_use", "db_pool_limit"

levels: list[Level] = []
item_id = ""  # what is read and ordered


@events.init_command_line_parser.add_listener
def add_options(parser: LocustArgumentParser) -> None:
    parser.add_argument("--levels", default="1,2,4,8,16,32,64,128", help="how many users, level after level")
    parser.add_argument("--level-seconds", type=int, default=10, help="how long each level takes")
    parser.add_argument("--picture", default="load/result.svg", help="where the picture is written")


class Rising(LoadTestShape):
    """Each level in turn."""

    def tick(self) -> tuple[int, float] | None:
        assert self.runner is not None  # noqa: S101
        options: Any = self.runner.environment.parsed_options
        users = [int(count) for count in options.levels.split(",")]
        number = int(self.get_run_time() // options.level_seconds)
        if levels and number >= len(levels):
            levels[-1].end(time.monotonic())
        if number >= len(users):
            return None
        if number >= len(levels):
            levels.append(Level(users[number], time.monotonic()))
        return users[number], users[number]


class ApiUser(FastHttpUser):
    """Mostly reads, and waits as long as Retry-After says where it is refused."""

    wait_time = constant(0)

    @task(6)
    def get_item(self) -> None:
        self.send("GET", f"/items/{item_id}", name="/items/{id}")

    @task(2)
    def list_items(self) -> None:
        self.send("GET", "/items")

    @task(1)
    def create_item(self) -> None:
        self.send("POST", "/items", json=new_item(stock=1))

    @task(1)
    def create_order(self) -> None:
        self.send("POST", "/orders", json={"item_id": item_id, "quantity": 1})

    def send(self, method: str, path: str, **arguments: Any) -> None:
        with self.client.request(method, path, catch_response=True, **arguments) as response:
            if response.status_code == REFUSED:
                response.success()  # what a full pool is meant to answer
        if response.status_code == REFUSED:
            gevent.sleep(int(response.headers["Retry-After"]))


def new_item(stock: int) -> dict[str, Any]:
    return {"name": f"load test {uuid4()}", "price_cents": 1, "stock": stock}


@events.test_start.add_listener
def prepare(environment: Environment, **_: Any) -> None:
    global item_id
    plenty = new_item(stock=1_000_000_000)
    response = requests.post(f"{environment.host}/items", json=plenty, timeout=TIMEOUT_SECONDS)
    response.raise_for_status()
    item_id = response.json()["id"]
    gevent.spawn(watch_pool, f"{environment.host}/metrics")


def watch_pool(url: str) -> None:
    while True:
        lines = requests.get(url, timeout=TIMEOUT_SECONDS).text.splitlines()
        figures = {name: float(value) for name, value in (x.rsplit(" ", 1) for x in lines if not x.startswith("#"))}
        for name, limit in figures.items():
            if levels and name.startswith(LIMIT):
                pool = name.removeprefix(LIMIT)  # its labels: each server has a pool
                levels[-1].note_pool(pool, figures[IN_USE + pool], limit)
        gevent.sleep(SAMPLE_SECONDS)


@events.request.add_listener
def note(response_time: float, exception: Exception | None, response: Any, **_: Any) -> None:
    if not levels or exception is not None:
        return
    if response.status_code == REFUSED:
        levels[-1].refused += 1
    else:
        levels[-1].milliseconds.append(response_time)


@events.quitting.add_listener
def report(environment: Environment, **_: Any) -> None:
    ended = [level for level in levels if level.seconds]
    options: Any = environment.parsed_options
    if ended:
        print("\n".join(table(ended)))
        Path(options.picture).write_text("\n".join(draw(ended)) + "\n", encoding="utf-8")
        print(f"picture: {options.picture}")
