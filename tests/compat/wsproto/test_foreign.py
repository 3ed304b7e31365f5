"""wsproto's own tests, on the facade: fetched from a package index, and kept no longer than they run."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import edgews.compat.wsproto

# These come over a network.
pytestmark = pytest.mark.foreign

VERSION = edgews.compat.wsproto.__version__
MINUTE = 60

# Tests of wsproto's parser, of its masker, and of what its extension does within them.
PRIVATE_FILES = ["test_frame_protocol.py"]
PRIVATE = [
    "test_client_decompress_after_uncompressible_frame",
    "test_client_inbound_compressed_multiple_data_frames",
    "test_client_inbound_compressed_single_data_frame",
    "test_compressor_reset",
    "test_decompressor_reset",
    "test_inbound_bad_zlib_decoder_end_state",
    "test_inbound_bad_zlib_payload",
    "test_inbound_compressed_continuation_frame",
    "test_inbound_compressed_control_frame",
    "test_inbound_uncompressed_control_frame",
    "test_inbound_uncompressed_data_frame",
    "test_outbound_compress_multiple_frames",
    "test_outbound_compress_single_frame",
    "test_outbound_uncompressible_opcode",
]
# Parameters that RFC 7692 §7 forbids; an endpoint that is not sure what was agreed has to decline.
AGAINST_THE_RFC = ["test_accept_ignores_rubbish", "test_finalize_ignores_rubbish"]

WANTED = f"not ({' or '.join(PRIVATE + AGAINST_THE_RFC)})"

# From source, without a look at its dependencies; building it needs nothing that is not here.
DOWNLOAD = [
    "--quiet",
    "--disable-pip-version-check",
    "--no-deps",
    "--no-binary=:all:",
    "--no-build-isolation",
]
# On the facade, and with none of our own settings.
PYTEST = ["-p", "edgews.compat.wsproto.pytest_plugin", "-q", "-rA", "-c", "/dev/null"]
PYTEST += ["-p", "no:cacheprovider", "-p", "no:xdist"]

PUBLIC_FILES = {
    "test_client.py",
    "test_connection.py",
    "test_extensions.py",
    "test_handshake.py",
    "test_permessage_deflate.py",
    "test_server.py",
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fetch wsproto's source, and return its folder."""
    folder = tmp_path_factory.mktemp("wsproto")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", *DOWNLOAD, f"--dest={folder}", f"wsproto=={VERSION}"],
        check=True,
        timeout=4 * MINUTE,
    )
    (archive,) = folder.glob("wsproto-*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / f"wsproto-{VERSION}"


def test_which_tests_there_are(source: Path) -> None:
    """All of them are either run or left out by name."""
    files = {path.name for path in (source / "tests").glob("test_*.py")}
    assert files == PUBLIC_FILES | set(PRIVATE_FILES)
    text = (source / "tests" / "test_permessage_deflate.py").read_text()
    names = set(re.findall(r"def (test_\w+)", text))
    assert set(PRIVATE + AGAINST_THE_RFC) <= names
    private = {name for name in names if "fp." in body(text, name)}
    assert private == set(PRIVATE)


def body(text: str, name: str) -> str:
    """Return the lines of one test."""
    _, _, rest = text.partition(f"def {name}(")
    return rest.partition("    def test_")[0]


def test_wsprotos_own_tests(source: Path) -> None:
    # Without the source beside them: the tests shall find the facade, or nothing.
    (source / "src").rename(source / "unused")
    tests = [str(source / "tests" / name) for name in sorted(PUBLIC_FILES)]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PYTEST, f"--rootdir={source}", "-k", WANTED, *tests],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=4 * MINUTE,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    passed = {name for name in PUBLIC_FILES if f"PASSED tests/{name}" in done.stdout}
    assert passed == PUBLIC_FILES, done.stdout[-5000:]
    assert " failed" not in done.stdout
