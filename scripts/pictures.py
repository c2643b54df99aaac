"""The pictures of docs/pictures, from the real program in a pseudo-terminal: `make pictures`.

    python -m scripts.pictures [NAME ...]

A scene is a function that types what a person would type into a shell of its own, in an empty folder; what the terminal
shows at its end is the picture. Made twice, a picture has the same bytes; that of `check` names the version of the
PostgreSQL server that is installed.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from scripts.terminal_svg import draw
from tests.processes import uv
from tests.servers import PostgreSQL
from tests.terminal import DOWN, ENTER, Terminal
from tests.update.projects import commit, make

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
COLUMNS, ROWS = 92, 30
PROMPT = "$"
QUIET_SECONDS = 0.5
CHECK_PORT = 15432  # shown in the picture, so always the same
RELEASE = "0.1.0"  # the projects that are updated are of this one and stay at it, whatever is released later


class Shell(Terminal):
    """A shell in an empty folder, with this checkout's `poolwright`; nothing of the user's environment is shown."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "work"
        self.folder.mkdir()
        identity = folder / "gitconfig"
        identity.write_text("[user]\n name = A\n email = a@example.org\n", encoding="utf-8")
        path = [str(Path(sys.executable).parent), str(Path(uv()).parent), os.environ["PATH"]]
        self.environment = {
            "PATH": os.pathsep.join(path),
            "PYTHONPATH": str(ROOT / "generator"),
            "HOME": os.environ.get("HOME", str(folder)),
            "GIT_CONFIG_GLOBAL": str(identity),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PS1": f"{PROMPT} ",
        }
        super().__init__(["/bin/sh", "-i"], self.folder, self.environment, COLUMNS, ROWS)
        self.see(PROMPT)

    def enter(self, command: str) -> None:
        """Type a command that will ask."""
        self.type(command, ENTER)
        self.see(f"{PROMPT} {command}")

    def run(self, command: str) -> None:
        """Type a command and wait for its end."""
        self.enter(command)
        self.wait(lambda: self.shown.splitlines()[-1] == PROMPT, f"the end of {command}")

    def answer(self, question: str, *keys: str, below: str = "") -> None:
        """Wait for the question of the wizard, and a text below it, and press the keys, then Enter."""
        self.asked(question, below)
        self.type(*keys, ENTER)

    def prepare(self, *command: str, folder: str = ".") -> None:
        """Run a command that the picture does not show."""
        environment = {**os.environ, **self.environment}  # with what the machine needs to reach a package index
        environment.pop("VIRTUAL_ENV", None)
        subprocess.run(command, cwd=self.folder / folder, env=environment, check=True, stdout=subprocess.DEVNULL)


def new_style(shell: Shell) -> None:
    """Choosing a style: MongoDB refuses three, each with its reason"""
    shell.enter("poolwright new shop")
    shell.answer("Name of the project")
    shell.answer("Database", DOWN, DOWN)
    shell.asked("Data-access style", "Beanie", "The databases library cannot")


def new_plan(shell: Shell) -> None:
    """The wizard shows the plan before it writes anything"""
    shell.enter("poolwright new shop")
    shell.answer("Name of the project")
    shell.answer("Database")
    shell.answer("Data-access style")
    shell.answer("Driver")
    shell.answer("Deployment target")
    shell.answer("Workers", "8", below="headroom")
    for number in ("Instances", "Surge", "Connection limit", "Connections kept free"):
        shell.answer(number, below="headroom")
    for choice in ("Pooler", "Send reads", "Cache"):
        shell.answer(choice)
    shell.asked("Everything as you want it?", "Stop, write nothing")


def new_done(shell: Shell) -> None:
    """What was written, its plan, and what to type next"""
    shell.run("poolwright new shop --yes --deployment compose --instances 2")


def plan_what_if(shell: Shell) -> None:
    """The plan of a project, and what four instances would make of it"""
    shell.prepare("poolwright", "new", "shop", "--yes", "--quiet")
    shell.run("poolwright plan shop --what-if instances=4")


def plan_misfit(shell: Shell) -> None:
    """A plan that does not fit: the numbers, and what would fit"""
    shell.run("poolwright plan --instances 40 --quiet")
    shell.run("echo $?")


def check(shell: Shell) -> None:
    """A server that does not have what the plan takes for granted"""
    shell.prepare("poolwright", "new", "shop", "--yes", "--quiet")
    shell.prepare("uv", "sync", "--quiet", "--no-dev", folder="shop")
    server = PostgreSQL(max_connections=50)
    server.port = CHECK_PORT
    try:
        server.start()
        server.run("CREATE ROLE shop LOGIN CONNECTION LIMIT 40")
        server.run("CREATE DATABASE shop TEMPLATE template0")  # without what the tests' roles have
        url = server.url_as("shop", "", "shop").replace("shop:@", "shop@")
        (shell.folder / "shop" / ".env").write_text(f"DATABASE_URL={url}\n", encoding="utf-8")
        shell.run("poolwright check shop")
    finally:
        server.close()


def matrix(shell: Shell) -> None:
    """What is valid and what is refused beside three answers"""
    shell.run("poolwright matrix --filter database=mongodb --filter style=beanie --filter deployment=vm")


def update(shell: Shell) -> None:
    """Eight workers instead of four: the plan before and after, and an own line that stays"""
    _make_released(shell, {".env.example": ("", "OWN_LIMIT=7\n")})
    shell.run(f"poolwright update shop --to {RELEASE} -d workers=8")
    shell.run("tail -n 1 shop/.env.example")


def update_conflict(shell: Shell) -> None:
    """A switch of the style that meets own changes: what conflicts, and what is gone"""
    edits = {
        "pyproject.toml": ('"sqlalchemy[asyncio]>=2.1,<2.2"', '"sqlalchemy[asyncio]>=2.1.1,<2.2"'),
        "app/db/models.py": ("", "# Mine.\n"),
    }
    _make_released(shell, edits)
    shell.run(f"poolwright update shop --to {RELEASE} -d style=raw")
    shell.run("echo $?")
    shell.run("sed -n '/^<<<<<<</,/^>>>>>>>/p' shop/pyproject.toml")


def _make_released(shell: Shell, edits: dict[str, tuple[str, str]]) -> None:
    """The project shop of RELEASE, committed, with a text replaced in some files; for "" it is put at the end."""
    project = shell.folder / "shop"
    make(f"v{RELEASE}", {"project_name": "shop"}, project, shell.folder.parent / "scratch")
    for name, (old, new) in edits.items():
        text = (project / name).read_text(encoding="utf-8")
        assert old in text
        (project / name).write_text(text.replace(old, new) if old else text + new, encoding="utf-8")
    commit(project)


SCENES: dict[str, Callable[[Shell], None]] = {
    "new-style": new_style,
    "new-plan": new_plan,
    "new-done": new_done,
    "plan-what-if": plan_what_if,
    "plan-misfit": plan_misfit,
    "check": check,
    "matrix": matrix,
    "update": update,
    "update-conflict": update_conflict,
}


def picture(scene: Callable[[Shell], None]) -> str:
    """The SVG of what the terminal shows at the scene's end, without the shell's last prompt."""
    with tempfile.TemporaryDirectory(prefix="poolwright-pictures-") as folder:
        shell = Shell(Path(folder))
        try:
            scene(shell)
            shell.settle(QUIET_SECONDS)
            lines = shell.cells
        finally:
            shell.close()
    if "".join(cell.data for cell in lines[-1]).rstrip() == PROMPT:
        lines.pop()
    return draw(lines, COLUMNS, scene.__doc__ or "")


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or SCENES:
        (PICTURES / f"{name}.svg").write_text(picture(SCENES[name]), encoding="utf-8")
        print(f"docs/pictures/{name}.svg", flush=True)


if __name__ == "__main__":
    main()
