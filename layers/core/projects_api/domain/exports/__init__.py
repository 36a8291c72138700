"""The export of a project as a ZIP archive, from the request to the finished archive."""
