"""The tests that `make mutation` selects run in an environment without AWS's libraries and emulators."""

import subprocess
import sys
import tomllib

from local.stack import ROOT

#: Sets modules that the environment lacks to None, so that importing them fails, and imports test modules.
PROGRAM = """\
import importlib, sys
sys.path[:0] = ["layers/core", "."]
sys.modules.update(dict.fromkeys(["boto3", "jsonschema_rs", "local", "moto", "requests", "samcli"]))
for path in sys.argv[1:]:
    importlib.import_module(path.removesuffix(".py").replace("/", "."))
"""


def test_selected_tests_can_be_imported() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    selected = settings["pytest_add_cli_args_test_selection"]
    subprocess.run([sys.executable, "-c", PROGRAM, *selected], cwd=ROOT, check=True)
