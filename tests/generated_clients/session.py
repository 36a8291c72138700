"""A session with the client that openapi-python-client generates: list, create and download.

Usage: python session.py BASE_URL API_KEY FILE
"""

import sys
from pathlib import Path

from projects_api_client import AuthenticatedClient
from projects_api_client.api.exports import get_archive
from projects_api_client.api.projects import create_project, delete_project, get_project, list_projects
from projects_api_client.api.timeline import get_timeline
from projects_api_client.models import NewProject, SortField
from projects_api_client.types import File

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], follow_redirects=True, timeout=30)
listed = list_projects.sync(client=client, sort_field=SortField.NAME, search="demo project")
(project,) = listed.items
timeline = get_timeline.sync(project.id, client=client)
print(project.name, project.role.value, [event.type_ for event in timeline.events])

created = create_project.sync(client=client, body=NewProject(name="Made in Python"))
print(created.project.name, created.project.role.value)

archive = get_archive.sync(created.project_id, client=client)
assert isinstance(archive, File), archive
Path(sys.argv[3]).write_bytes(archive.payload.read())

delete_project.sync(created.project_id, client=client)
print(get_project.sync(created.project_id, client=client).detail)
