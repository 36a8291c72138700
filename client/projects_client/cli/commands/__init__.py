"""Subcommands of ``projects``, one module for each noun."""
