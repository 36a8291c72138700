"""Stateful property test: the API responds to any sequence of operations as the model predicts.

After every sequence, the invariants of the table hold.
"""

import random
import uuid
from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.support.api_client import Client, Response
from tests.support.api_model import (
    CHANGES,
    CONFLICT,
    INVALID,
    NOT_FOUND,
    ROLES,
    TYPES,
    ApiModel,
    Event,
    Member,
    Project,
)
from tests.support.in_process_app import InProcessApp

NICKS = ("alice", "bob", "carol")
IDS = [str(uuid.UUID(int=number)) for number in range(3)]

nicks = st.sampled_from(NICKS)
names = st.sampled_from(["Alpha", "alpha ", "Straße", "STRASSE", "b" * 200, " Zeta", "\N{PILE OF POO}", " ", "c" * 201])
descriptions = st.sampled_from(["", "of alpha", "d" * 2000])
events = st.builds(
    Event, st.sampled_from(TYPES), st.sampled_from(IDS), st.sampled_from(CHANGES), st.integers(0, 9)
)  # fmt: skip
project_numbers = st.integers(0, 9)


class AnySequence(RuleBasedStateMachine):
    """A state machine whose rules send a request to the API and compare the response with the model.

    The users are the same in all sequences.
    """

    def __init__(self, app: InProcessApp, clients: dict[str, Client]) -> None:
        super().__init__()
        self.app = app
        self.clients = clients
        self.model = ApiModel()
        self.undelivered: list[tuple[str, Event]] = []

    def get_project(self, number: int) -> Project:
        projects = list(self.model.projects.values())
        return projects[number % len(projects)]

    def has_projects(self) -> bool:
        return bool(self.model.projects)

    def send_request(self, caller: str, method: str, path: str, body: Any = None, **headers: Any) -> Response:
        response = self.clients[caller].request(method, f"/api/projects{path}", body, **headers)
        assert response.status < 400 or response["detail"], response
        return response

    @initialize()
    def create_first_project(self) -> None:
        self.create("alice", "Alpha", "", None)

    @rule(caller=nicks, name=names, description=descriptions, key=st.sampled_from([None, None, "k", "l"]))
    def create(self, caller: str, name: str, description: str, key: str | None) -> None:
        headers = {"Idempotency_Key": key} if key else {}
        response = self.send_request(caller, "POST", "", {"name": name, "description": description}, **headers)
        name = name.strip()
        if not 0 < len(name) <= 200:
            assert response.status == INVALID
            return
        first = self.model.idempotent_requests.get((caller, key)) if key else None
        if first and first[1:] != (name, description):
            assert response.status == INVALID
            return
        assert response.status == 201
        created = response["project"]
        assert (created["id"], created["name"], created["description"]) == (response["project_id"], name, description)
        if first:
            assert created["id"] == first[0]
            return
        assert created["id"] not in self.model.projects
        owner = Member("owner", created["created_at"])
        project = Project(
            created["id"], name, description, caller, created["created_at"], created["updated_at"], {caller: owner}
        )
        self.model.projects[project.id] = project
        project.log("project.created", caller, project.id)
        assert project.view_for(caller).items() <= created.items()
        if key:
            self.model.idempotent_requests[caller, key] = (project.id, name, description)

    @precondition(has_projects)
    @rule(caller=nicks, number=project_numbers, name=names, description=st.none() | descriptions)
    def update(self, caller: str, number: int, name: str, description: str | None) -> None:
        project = self.get_project(number)
        body = {"name": name} if description is None else {"name": name, "description": description}
        response = self.send_request(caller, "PUT", f"/{project.id}", body)
        name, description = name.strip(), project.description if description is None else description
        if not 0 < len(name) <= 200:
            assert response.status == INVALID
        elif error_status := project.error_status(caller, minimum_role="editor"):
            assert response.status == error_status
        else:
            assert response.status == 200
            if (name, description) != (project.name, project.description):
                before = project.updated_at
                project.name, project.description = name, description
                project.mark_changed()
                project.updated_at = response["project"]["updated_at"]
                assert before is None or project.updated_at >= before
                project.log("project.updated", caller, project.id)
            assert project.view_for(caller).items() <= response["project"].items()

    @precondition(has_projects)
    @rule(caller=nicks, number=project_numbers)
    def delete(self, caller: str, number: int) -> None:
        project = self.get_project(number)
        response = self.send_request(caller, "DELETE", f"/{project.id}")
        assert response.status == (project.error_status(caller, minimum_role="owner") or 200)
        project.deleted = project.deleted or response.status == 200

    @precondition(has_projects)
    @rule(caller=nicks, number=project_numbers, nick=st.sampled_from([*NICKS, "nobody"]), role=st.sampled_from(ROLES))
    def add_member(self, caller: str, number: int, nick: str, role: str) -> None:
        project = self.get_project(number)
        email = self.clients[nick].email.upper() if nick in self.clients else "nobody@example.com"
        response = self.send_request(caller, "POST", f"/{project.id}/members", {"email": email, "role": role})
        if role == "owner":
            assert response.status == INVALID
        elif error_status := project.error_status(caller, minimum_role="owner"):
            assert response.status == error_status
        elif nick not in self.clients:
            assert response.status == NOT_FOUND
        elif nick == project.owner:
            assert response.status == CONFLICT
        else:
            before = project.members.get(nick)
            assert response.status == (200 if before else 201)
            project.members[nick] = Member(role, before.created_at if before else response["member"]["created_at"])
            if before is None or before.role != role:
                project.mark_changed()
                project.log("member.role_changed" if before else "member.added", caller, self.clients[nick].user_id)
            assert self.view_member(project, nick).items() <= response["member"].items()

    @precondition(has_projects)
    @rule(caller=nicks, number=project_numbers, nick=nicks)
    def remove_member(self, caller: str, number: int, nick: str) -> None:
        project = self.get_project(number)
        response = self.send_request(caller, "DELETE", f"/{project.id}/members/{self.clients[nick].user_id}")
        if error_status := project.error_status(caller, minimum_role="viewer" if caller == nick else "owner"):
            assert response.status == error_status
        elif nick not in project.members:
            assert response.status == NOT_FOUND
        elif nick == project.owner:
            assert response.status == CONFLICT
        else:
            assert response.status == 200
            del project.members[nick]
            project.mark_changed()
            project.log("member.left" if caller == nick else "member.removed", caller, self.clients[nick].user_id)

    @precondition(has_projects)
    @rule(number=project_numbers, published=st.lists(events, min_size=1, max_size=4))
    def publish_events(self, number: int, published: list[Event]) -> None:
        self.undelivered += [(self.get_project(number).id, event) for event in published]

    @precondition(lambda self: self.undelivered)
    @rule(chance=st.randoms(use_true_random=False))
    def deliver_events(self, chance: random.Random) -> None:
        """Deliver the events in any order, two of them twice.

        An event of a deleted project is rejected. However, an event that the project already holds changes nothing, and
        may be accepted until the project is purged.
        """
        deliveries = self.undelivered + chance.choices(self.undelivered, k=2)
        self.undelivered = []
        chance.shuffle(deliveries)
        rejected = repeated = 0
        bodies = []
        before = {
            (id_, *key): event for id_, one in self.model.projects.items() for key, event in one.latest_events.items()
        }
        for project_id, event in deliveries:
            resource = {"id": event.id, "name": event.name, "rows": event.second}
            at = f"2026-02-10T09:00:0{event.second}Z"
            bodies.append(self.app.build_event(f"{event.type.title()} {event.change}", project_id, resource, at))
            if self.model.projects[project_id].deleted:
                rejected += 1
                repeated += self.model.projects[project_id].ignores(event)
            else:
                self.model.projects[project_id].record(event)
        for project_id, project in self.model.projects.items():
            for key, event in project.latest_events.items():
                earlier = before.get((project_id, *key))
                if event is not earlier:
                    change = "deleted" if event.change == "Deleted" else "updated" if earlier else "created"
                    project.log(f"resource.{change}", "mlplatform.tests", event.id)
        assert self.app.deliver(bodies) == []
        assert rejected - repeated <= len(self.app.take_dead_letters()) <= rejected

    @precondition(has_projects)
    @rule(caller=nicks, number=project_numbers)
    def export(self, caller: str, number: int) -> None:
        project = self.get_project(number)
        response = self.send_request(caller, "POST", f"/{project.id}/exports")
        if error_status := project.error_status(caller):
            assert response.status == error_status
            return
        assert response.status == 202
        if not project.current:
            assert response["export"]["id"] not in project.export_ids
            project.export_ids.append(response["export"]["id"])
            project.exporters.append(caller)
            project.log("export.started", caller, project.export_ids[-1])
            project.pending = project.current = True
        assert response["export"]["id"] == project.export_ids[-1]
        assert response["export"]["status"] == ("pending" if project.pending else "ready")
        if response["export"]["download_url"]:
            project.download(caller, project.export_ids[-1])

    @rule()
    def process_queues(self) -> None:
        self.app.process_queues()
        self.model.process_queues()

    @precondition(has_projects)
    @rule(
        caller=nicks,
        number=project_numbers,
        limit=st.integers(1, 3),
        type_=st.sampled_from([None, *TYPES]),
        descending=st.booleans(),
    )
    def read(self, *, caller: str, number: int, limit: int, type_: str | None, descending: bool) -> None:
        """Read the project, its members, its exports and its timeline."""
        project = self.get_project(number)
        responses = {
            part: self.send_request(caller, "GET", f"/{project.id}{part}") for part in ("", "/members", "/exports")
        }
        if error_status := project.error_status(caller):
            assert {response.status for response in responses.values()} == {error_status}
            assert self.send_request(caller, "GET", f"/{project.id}/timeline").status == error_status
            return
        assert project.view_for(caller).items() <= responses[""]["project"].items()
        project.updated_at = responses[""]["project"]["updated_at"]
        for export in responses["/exports"]["items"]:
            if export["download_url"]:
                project.download(caller, export["id"])
        assert [export["id"] for export in responses["/exports"]["items"]] == project.export_ids[::-1]
        members = sorted(
            (self.view_member(project, nick) for nick in project.members),
            key=lambda member: member["role"] != "owner",  # the others in the order in which they joined
        )
        page = self.send_request(caller, "GET", f"/{project.id}/members?limit={limit}&offset=1")
        for response, expected in ((responses["/members"], members), (page, members[1 : 1 + limit])):
            assert response["total"] == len(members)
            assert [item | view for item, view in zip(response["items"], expected, strict=True)] == response["items"]
        resources = project.resources(type_)[:: -1 if descending else 1]
        assert self.read_timeline(caller, project, limit, type_, descending) == [
            (resource.type, resource.id, resource.name) for resource in resources
        ]

    @precondition(has_projects)
    @rule(caller=nicks, number=project_numbers, limit=st.integers(1, 100))
    def read_activity(self, caller: str, number: int, limit: int) -> None:
        """Each change has one entry, and a request that changed nothing has none."""
        project = self.get_project(number)
        path = f"/{project.id}/activity?limit={limit}"
        response = self.send_request(caller, "GET", path)
        if error_status := project.error_status(caller, minimum_role="admin"):
            assert response.status == error_status
            return
        entries = response["items"]
        while response["next_cursor"]:
            assert len(response["items"]) == limit
            response = self.send_request(caller, "GET", f"{path}&cursor={response['next_cursor']}")
            entries += response["items"]
        nicks_by_id = {client.user_id: nick for nick, client in self.clients.items()}
        actors = [nicks_by_id.get(entry["actor"]["user_id"], entry["actor"]["service"]) for entry in entries]
        keys = [(entry["action"], actor, entry["object"]["id"]) for entry, actor in zip(entries, actors, strict=True)]
        assert Counter(keys) == project.activity
        times = [entry["at"] for entry in entries]
        assert times == sorted(times, reverse=True)

    def read_timeline(
        self, caller: str, project: Project, limit: int, type_: str | None, descending: bool
    ) -> list[tuple[str, str, str]]:
        query = f"limit={limit}{f'&type={type_}' if type_ else ''}&order={'desc' if descending else 'asc'}"
        entries: list[tuple[str, str, str]] = []
        cursor = ""
        while True:
            page = self.send_request(caller, "GET", f"/{project.id}/timeline?{query}{cursor}")
            assert len(page["events"]) <= limit
            entries += [(event["type"], event["id"], event["name"]) for event in page["events"]]
            if page["next_cursor"] is None:
                return entries
            cursor = f"&cursor={page['next_cursor']}"

    @rule(
        caller=nicks,
        limit=st.integers(1, 4),
        offset=st.integers(0, 3),
        search=st.sampled_from(["", "", "ALPHA", "strasse"]),
        sort_field=st.sampled_from(["created_at", "name", "dataset_count", "model_count", "experiment_count"]),
        direction=st.sampled_from(["asc", "desc"]),
    )
    def list_projects(
        self, *, caller: str, limit: int, offset: int, search: str, sort_field: str, direction: str
    ) -> None:
        query = f"limit={limit}&offset={offset}&search={search}&sort_field={sort_field}&sort_direction={direction}"
        response = self.send_request(caller, "GET", f"?{query}")
        projects = self.model.list_projects(
            caller, search=search, sort_field=sort_field, descending=direction == "desc"
        )
        assert (response["total"], response["limit"], response["offset"]) == (len(projects), limit, offset)
        expected = [project.view_for(caller) for project in projects[offset : offset + limit]]
        assert [item | view for item, view in zip(response["items"], expected, strict=True)] == response["items"]

    def view_member(self, project: Project, nick: str) -> dict[str, str]:
        client, member = self.clients[nick], project.members[nick]
        return {"user_id": client.user_id, "email": client.email, "role": member.role, "created_at": member.created_at}

    def teardown(self) -> None:
        assert self.app.find_broken_invariants() == []
        for project in self.model.projects.values():
            if not project.deleted:
                assert self.send_request(project.owner, "DELETE", f"/{project.id}").status == 200
        self.app.process_queues()
        self.app.take_dead_letters()
        assert self.app.find_items(*self.model.projects) == []
        assert self.app.find_broken_invariants() == []


def test_any_sequence(app: InProcessApp, pytestconfig: pytest.Config) -> None:
    """The API responds as the model predicts, the invariants hold, and deleting every project leaves no item."""
    real = pytestconfig.getoption("engines") == "real"
    clients = {nick: app.create_user(nick) for nick in NICKS}
    examples, steps = (20, 40) if real else (8, 20)
    run_state_machine_as_test(
        lambda: AnySequence(app, clients),  # type: ignore[arg-type] # any callable that returns a state machine
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
