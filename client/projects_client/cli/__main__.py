"""``python -m projects_client`` is ``projects``."""

from projects_client.cli.main import main

main()
