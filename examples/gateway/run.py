"""An echo server, and a gateway in front of it: what `script/demo` runs.

    python examples/gateway/run.py [--port 8080] [--admin-port 9901]

Ctrl-C ends both; a second one does not wait for anybody.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

FILE = Path(__file__).with_name("edgews.toml")
READY = "Ctrl-C stops it."
ADDRESS = re.compile(r"\b(?:ws|http)://([^/\s]+)")

TRY = """
Try it        http://{gateway}/
See it live   http://{admin}/
Trip a rule   {edgews} connect ws://{gateway}/admin
Trip a limit  for n in $(seq 15); do {edgews} connect ws://{gateway}/ </dev/null; done
Ask why       {edgews} doctor --ray RAY --admin http://{admin}
              RAY stands in each refusal, in the log below, and on the page.
"""


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start a command of edgews; yield it and what it says until it is ready.

    Ctrl-C at the terminal is for this program alone, which ends the gateway before its origin.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "edgews", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if READY in line:
                break
        try:
            yield process, said
        finally:
            # Not SIGINT: a shell script has what it starts in the background ignore it.
            process.terminate()
            process.stdout.read()


def addresses(said: list[str]) -> list[str]:
    """Return host and port of each address in what a command says."""
    return [found[1] for line in said if (found := ADDRESS.search(line))]


def command() -> str:
    """Return how to call edgews from here: it need not be where the shell looks for commands."""
    with contextlib.suppress(ValueError):
        return str(Path(sys.executable).with_name("edgews").relative_to(Path.cwd()))
    return str(Path(sys.executable).with_name("edgews"))


def main() -> int:
    """Run both until Ctrl-C or SIGTERM; return the gateway's exit code."""
    parser = argparse.ArgumentParser(description="Run an echo server, and a gateway in front of it.")
    parser.add_argument("--port", type=int, default=8080, help="of the gateway (default: %(default)s)")
    parser.add_argument(
        "--admin-port", type=int, default=9901, help="of the live page (default: %(default)s)"
    )
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        running("echo", "--port", "0") as (_, origin),
    ):
        text = FILE.read_text("utf-8").replace("127.0.0.1:9000", addresses(origin)[0])
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{arguments.port}")
        text = text.replace("127.0.0.1:9901", f"127.0.0.1:{arguments.admin_port}")
        config = Path(folder, "edgews.toml")
        config.write_text(text, "utf-8")
        with running("serve", "-c", str(config)) as (gateway, said):
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda number, frame: gateway.terminate())
            sys.stdout.writelines(said)
            if found := addresses(said):
                print(TRY.format(edgews=command(), gateway=found[0], admin=found[-1]), flush=True)
            assert gateway.stdout is not None
            for line in gateway.stdout:
                print(line, end="", flush=True)
            return gateway.wait()


if __name__ == "__main__":
    sys.exit(main())
