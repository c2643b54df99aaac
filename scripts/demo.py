"""Render a project on SQLite, migrate it, start it, call it once, and show its pool plan: `make demo`."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

DEMO = Path("demo")
START_SECONDS = 30


def run(*command: str) -> None:
    print("$", *command, flush=True)
    subprocess.run(command, cwd=DEMO, env=os.environ | {"VIRTUAL_ENV": ""}, check=True)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def wait_until_ready(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            urlopen(f"{url}/readyz", timeout=1)
            return
        except (URLError, TimeoutError):
            time.sleep(0.1)
    sys.exit("the demo did not start")


def main() -> None:
    if DEMO.exists():
        sys.exit("demo/ exists: look at it, or remove it and run this again")
    subprocess.run(["poolwright", "new", str(DEMO), "--yes", "--no-git", "-q", "-d", "database=sqlite"], check=True)
    run("uv", "sync", "--quiet")
    shutil.copy(DEMO / ".env.example", DEMO / ".env")
    run("uv", "run", "python", "-m", "app.migrate")

    url = f"http://127.0.0.1:{free_port()}"
    command = ["uv", "run", "uvicorn", "app.main:app", "--log-level", "warning", "--port", url.rpartition(":")[2]]
    print("$", *command, "&", flush=True)
    server = subprocess.Popen(command, cwd=DEMO, env=os.environ | {"VIRTUAL_ENV": ""})
    try:
        wait_until_ready(url, server)
        item = json.dumps({"name": f"teapot {time.time_ns()}", "price_cents": 2500, "stock": 3})
        print(f"$ POST /items {item}")
        request = Request(f"{url}/items", item.encode(), {"Content-Type": "application/json"})
        with urlopen(request, timeout=5) as response:
            print(response.status, response.read().decode())
    finally:
        server.terminate()
        server.wait()

    subprocess.run(["poolwright", "plan", str(DEMO)], check=True)
    print(f"\nThe project is in {DEMO}/ and its README says how to go on.")


if __name__ == "__main__":
    main()
