"""The Projects API: the rules of projects and their members, the table they are kept in, and the archive.

Arrows point one way: ``http`` → ``domain`` → ``storage`` → ``model``. ``archive`` makes the ZIP; its format and its
plan know no AWS.
"""
