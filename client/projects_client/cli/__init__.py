"""The ``projects`` command."""
