"""The import of a project from an archive, from the request to the visible project."""
