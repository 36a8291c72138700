"""Entry point of ``projects`` and ``python -m projects_client.cli``."""

import sys
from importlib.util import find_spec


def main() -> None:
    """Run the ``projects`` command, or say what to install for it."""
    if missing := [name for name in ("typer", "rich") if find_spec(name) is None]:
        sys.exit(
            f"The `projects` command needs {' and '.join(missing)}, which the library does without. "
            'Install the command with its extra: pip install "./client[cli]" in the repository.'
        )
    from projects_client.cli.main import main as run  # noqa: PLC0415 - fails without typer and rich

    run()


if __name__ == "__main__":
    main()
