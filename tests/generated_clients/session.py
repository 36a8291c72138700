"""A session with the client that openapi-python-client generates: list and create.

Usage: python session.py BASE_URL API_KEY
"""

import sys

from projects_api_client import AuthenticatedClient
from projects_api_client.api.projects import create_project, delete_project, get_project, list_projects
from projects_api_client.api.timeline import get_timeline
from projects_api_client.models import NewProject, SortField

client = AuthenticatedClient(base_url=sys.argv[1], token=sys.argv[2], follow_redirects=True, timeout=30)
listed = list_projects.sync(client=client, sort_field=SortField.NAME, search="demo project")
(project,) = listed.items
timeline = get_timeline.sync(project.id, client=client)
print(project.name, project.role.value, [event.type_ for event in timeline.events])

created = create_project.sync(client=client, body=NewProject(name="Made in Python"))
print(created.project.name, created.project.role.value)

delete_project.sync(created.project_id, client=client)
print(get_project.sync(created.project_id, client=client).detail)
