"""Python client of the Projects API, with the ``projects`` command in the ``cli`` subpackage."""
