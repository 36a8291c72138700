"""Give each function of a build a digest of its code and of the parameters: ``stamp_versions.py ["NAME=VALUE …"]``.

SAM publishes a new version of a function when the function's part of the template changes. A parameter's new value does
not change the template, so the running versions would keep the old value
(https://github.com/aws/serverless-application-model/issues/3820). The digest becomes the function's
``AutoPublishCodeSha256``, and a new digest a new version.

Parameters are those of the environment ``--config-env`` in samconfig.toml; NAME=VALUE arguments replace them. They are
written to ``parameters.yaml`` in the folder of the build for ``sam deploy``, which would split ``rate(2 days)`` at the
blank if it were an argument, and which ignores parameters that the template lacks.
"""

import argparse
import difflib
import json
import re
import tomllib
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_dump, yaml_parse

BUILD = Path(".aws-sam/build")
FUNCTION = "AWS::Serverless::Function"


def read_overrides(samconfig: Path, environment: str) -> dict[str, str]:
    """Return the parameters that an environment of samconfig.toml overrides.

    Raises:
        SystemExit: There is no such environment.
    """
    environments = {
        name: settings["deploy"]["parameters"]
        for name, settings in tomllib.loads(samconfig.read_text()).items()
        if isinstance(settings, dict) and "deploy" in settings
    }
    if environment not in environments:
        raise SystemExit(f"samconfig.toml has no stage '{environment}'. Its stages are {', '.join(environments)}.")
    return parse_overrides(environments[environment].get("parameter_overrides", []))


def parse_overrides(overrides: Iterable[str]) -> dict[str, str]:
    """Return texts of one or more ``NAME=VALUE`` as a dictionary. A value may contain blanks.

    Raises:
        SystemExit: A text does not start with a name and an equals sign.
    """
    values = {}
    for text in overrides:
        for override in re.split(r"\s+(?=\w+=)", text.strip()) if text.strip() else ():
            name, equals, value = override.partition("=")
            if not equals:
                raise SystemExit(f"'{override}' is no parameter. Write NAME=VALUE.")
            values[name] = value.strip()
    return values


def require_declared(overrides: Iterable[str], declared: Iterable[str]) -> None:
    """Raise SystemExit if a parameter is not in the template."""
    for name in overrides:
        if name not in declared:
            (similar,) = difflib.get_close_matches(name, declared, n=1, cutoff=0)
            raise SystemExit(f"template.yaml has no parameter '{name}'. Is '{similar}' meant?")


def digest_folder(folder: Path) -> str:
    """Return a digest of the names and the content of all files below ``folder``."""
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def stamp(template: dict[str, Any], build: Path, overrides: dict[str, str]) -> None:
    """Set ``AutoPublishCodeSha256`` of every function.

    Args:
        template: The built template, which is changed.
        build: The folder of the build.
        overrides: The parameters of the deployment that differ from their defaults.
    """
    defaults = {name: str(parameter.get("Default", "")) for name, parameter in template["Parameters"].items()}
    parameters = json.dumps(defaults | overrides, sort_keys=True)
    layer = digest_folder(build / "CoreLayer")
    for resource in template["Resources"].values():
        if resource["Type"] == FUNCTION:
            code = digest_folder(build / resource["Properties"]["CodeUri"])
            digest = sha256(f"{code}\n{layer}\n{parameters}".encode()).hexdigest()
            resource["Properties"]["AutoPublishCodeSha256"] = digest


def main() -> None:
    """Stamp the built template, and write the parameters."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--config-env", default="prod")
    arguments.add_argument("overrides", nargs="*", metavar="NAME=VALUE …")
    options = arguments.parse_args()
    path = BUILD / "template.yaml"
    template = yaml_parse(path.read_text())
    overrides = read_overrides(Path("samconfig.toml"), options.config_env) | parse_overrides(options.overrides)
    require_declared(overrides, template["Parameters"])
    stamp(template, BUILD, overrides)
    path.write_text(yaml_dump(template))
    (BUILD / "parameters.yaml").write_text(yaml_dump(overrides))


if __name__ == "__main__":
    main()
