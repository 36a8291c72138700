"""Entry point of ``python -m projects_client.cli``, which runs the ``projects`` command."""

from projects_client.cli.main import main

main()
