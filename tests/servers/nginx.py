import re
import shutil
import subprocess
import tempfile
from itertools import chain, count
from pathlib import Path

from tests.processes import Process, free_port, wait_until
from tests.servers.base import ServerMissing


def configuration(site: str, directory: Path, listen: str, upstream: str | None = None) -> Path:
    """Write what nginx needs to use a rendered site here, and return the file to start it with.

    listen: where the site with the certificate listens; what it forwards to is `upstream`, if that is given.
    """
    certificate, key = directory / "fullchain.pem", directory / "privkey.pem"
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    make += ["-subj", "/CN=example.com", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(make, check=True, capture_output=True)
    site = re.sub(r"/etc/ssl/\S+/(\w+\.pem)", lambda found: str(directory / found[1]), site)
    # Testing a configuration opens its ports, so the others become sockets of no use, which must differ.
    unused = (f"unix:{directory}/{number}" for number in count())
    secure = chain([listen], unused)
    site = re.sub(r"listen (\[::\]:)?(443|80)", lambda at: f"listen {next(secure if at[2] == '443' else unused)}", site)
    if upstream is not None:
        site = re.sub(r"server 127\.0\.0\.1:\d+", f"server {upstream}", site)
    (directory / "site.conf").write_text(site)
    paths = "".join(f"{name}_temp_path {directory}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi"))
    wrapper = directory / "nginx.conf"
    wrapper.write_text(
        f"pid {directory}/pid; error_log stderr warn; worker_processes 1; events {{}}\n"
        f"http {{ access_log off; client_body_temp_path {directory}/body; {paths} include {directory}/site.conf; }}\n"
    )
    return wrapper


class Nginx:
    """nginx with a rendered site in front of an app that listens at `upstream`; `url` is its address."""

    def __init__(self, site: Path, upstream: str) -> None:
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
        if program is None:
            raise ServerMissing("nginx is not installed: apt-get install nginx-light")
        self._directory = Path(tempfile.mkdtemp(prefix="poolwright-nginx-"))
        self._directory.chmod(0o755)  # its workers are another user
        address = f"127.0.0.1:{free_port()}"
        wrapper = configuration(site.read_text(encoding="utf-8"), self._directory, address, upstream)
        command: list[str | Path] = [program, "-g", "daemon off;", "-c", wrapper, "-e", "stderr", "-p", self._directory]
        self._process = Process(command, log=self._directory / "log")
        self.url = f"https://{address}"
        wait_until((self._directory / "pid").exists, 10, "nginx runs")

    def close(self) -> None:
        self._process.kill_tree()
        shutil.rmtree(self._directory, ignore_errors=True)
