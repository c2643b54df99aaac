"""The releases that this package carries: a git bundle with one commit for each, which holds what a render reads."""

import re
from pathlib import Path

from poolwright.catalog import distribution
from poolwright.git import git, isolated

BUNDLE = Path(__file__).with_name("releases.bundle")
_TAG = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
_REFERENCE = re.compile(rb"[0-9a-f]{40,64} refs/tags/(\S+)")

Version = tuple[int, int, int]


def tags(bundle: Path | None = None) -> list[str]:
    """The releases' tags ("v1.2.3"), the oldest first; [] before the first release."""
    bundle = bundle or BUNDLE
    if not bundle.is_file():
        return []
    with bundle.open("rb") as file:
        header = iter(file.readline, b"\n")  # it ends with an empty line
        found = [match[1].decode() for line in header if (match := _REFERENCE.match(line))]
    return sorted((tag for tag in found if parse(tag)), key=_version)


def parse(tag: str) -> Version | None:
    """The numbers of a release's tag; None where it is none ("v1.2.3-4-gabcdef")."""
    match = _TAG.fullmatch(tag)
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def own_tag() -> str | None:
    """The tag of the release that this tool is; None for an unreleased checkout."""
    tag = f"v{distribution().version}"
    return tag if tag in tags() else None


def unpack(tag: str, folder: Path) -> Path:
    """Write the template of a release into `folder`, which must not exist; the folder."""
    git(folder.parent, "clone", "--quiet", "--branch", tag, str(BUNDLE), str(folder), variables=isolated())
    return folder


def is_ours(source: str) -> bool:
    """Whether an answers file's `_src_path` names this project's repository, in any of the forms that copier knows."""
    return source.removesuffix(".git") in _sources()


def redirects() -> list[tuple[str, str]]:
    """Settings with which git takes the bundle wherever it is told the repository's URL."""
    urls = [url for source in _sources() if not source.startswith("gh:") for url in (source, f"{source}.git")]
    return [(f"url.{BUNDLE}.insteadOf", url) for url in urls]


def _sources() -> list[str]:
    url = distribution().repository
    host, name = url.removeprefix("https://").split("/", 1)
    short = [f"gh:{name}"] if host == "github.com" else []
    return [url, f"git+{url}", f"git@{host}:{name}", f"ssh://git@{host}/{name}", *short]


def _version(tag: str) -> Version:
    found = parse(tag)
    assert found is not None
    return found
