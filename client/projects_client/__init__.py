"""The command line of the Projects API. ``main`` is where it starts, ``commands`` what it can do."""
