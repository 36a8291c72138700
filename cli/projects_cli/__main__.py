"""``python -m projects_cli`` is ``projects``."""

from projects_cli.main import main

main()
