"""The Projects API: projects, members, timelines and exports.

Imports point in one direction: ``api`` and ``schemas`` → ``domain`` → ``storage`` → ``entities``. ``archive`` plans and
writes ZIP archives without AWS.
"""
