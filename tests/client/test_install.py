"""Tests of the distribution: what the library needs, and what the command says without its extra."""

import subprocess
import sys
from importlib.metadata import requires

REQUIREMENTS = ["requests", "urllib3"]

#: Hides every distribution but the library's requirements, and what these require themselves.
BLOCK = f"""
import sys
known = sys.stdlib_module_names | {{"projects_client", "charset_normalizer", "idna", "certifi", *{REQUIREMENTS}}}
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in known:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
"""


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_requirements_of_library() -> None:
    """The library alone needs requests and urllib3 only."""
    names = [text.partition(">")[0] for text in requires("projects-client") or [] if "extra ==" not in text]
    assert sorted(names) == REQUIREMENTS


def test_library_without_extras() -> None:
    """Every module of the library can be imported without the extras."""
    code = "import projects_client, projects_client.operator_functions; print(projects_client.__name__)"
    result = run(BLOCK + code)
    assert (result.returncode, result.stdout) == (0, "projects_client\n"), result.stderr


def test_command_without_extra() -> None:
    """Without its extra, the command says in one sentence what to install."""
    hide = "import importlib.util as u; find = u.find_spec; u.find_spec = lambda n: None if n == 'typer' else find(n)\n"
    result = run(hide + "from projects_client.cli.__main__ import main\nmain()")
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    assert 'pip install "./client[cli]"' in result.stderr
