"""Any sequence of operations by several people is answered as a simple model answers it, and leaves the table whole."""

import random
import uuid
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.support.api_client import Answer, Client
from tests.support.api_model import CHANGES, CONFLICT, INVALID, NOT_FOUND, ROLES, TYPES, Event, Member, Model, Project
from tests.support.in_process_app import InProcessApp

NICKS = ("alice", "bob", "carol")
IDS = [str(uuid.UUID(int=number)) for number in range(3)]

people = st.sampled_from(NICKS)
names = st.sampled_from(["Alpha", "alpha ", "Straße", "STRASSE", "b" * 200, " Zeta", "\N{PILE OF POO}", " ", "c" * 201])
descriptions = st.sampled_from(["", "of alpha", "d" * 2000])
events = st.builds(
    Event, st.sampled_from(TYPES), st.sampled_from(IDS), st.sampled_from(CHANGES), st.integers(0, 9)
)  # fmt: skip
which = st.integers(0, 9)


class AnySequence(RuleBasedStateMachine):
    """Every rule asks the API and the model, and compares; people are met again and again."""

    def __init__(self, app: InProcessApp, clients: dict[str, Client]) -> None:
        super().__init__()
        self.app = app
        self.clients = clients
        self.model = Model()
        self.on_the_way: list[tuple[str, Event]] = []

    def project(self, number: int) -> Project:
        projects = list(self.model.projects.values())
        return projects[number % len(projects)]

    def someone_is_there(self) -> bool:
        return bool(self.model.projects)

    def ask(self, who: str, method: str, path: str, body: Any = None, **headers: Any) -> Answer:
        answer = self.clients[who].request(method, f"/api/projects{path}", body, **headers)
        assert answer.status < 400 or answer["detail"], answer
        return answer

    @initialize()
    def a_first_project(self) -> None:
        self.create("alice", "Alpha", "", None)

    @rule(who=people, name=names, description=descriptions, key=st.sampled_from([None, None, "k", "l"]))
    def create(self, who: str, name: str, description: str, key: str | None) -> None:
        headers = {"Idempotency_Key": key} if key else {}
        answer = self.ask(who, "POST", "", {"name": name, "description": description}, **headers)
        name = name.strip()
        if not 0 < len(name) <= 200:
            assert answer.status == INVALID
            return
        first = self.model.first_answers.get((who, key)) if key else None
        if first and first[1:] != (name, description):
            assert answer.status == INVALID
            return
        assert answer.status == 201
        made = answer["project"]
        assert (made["id"], made["name"], made["description"]) == (answer["project_id"], name, description)
        if first:
            assert made["id"] == first[0]
            return
        assert made["id"] not in self.model.projects
        owner = Member("owner", made["created_at"])
        project = Project(made["id"], name, description, who, made["created_at"], made["updated_at"], {who: owner})
        self.model.projects[project.id] = project
        assert project.seen_by(who).items() <= made.items()
        if key:
            self.model.first_answers[who, key] = (project.id, name, description)

    @precondition(someone_is_there)
    @rule(who=people, number=which, name=names, description=st.none() | descriptions)
    def rename(self, who: str, number: int, name: str, description: str | None) -> None:
        project = self.project(number)
        sent = {"name": name} if description is None else {"name": name, "description": description}
        answer = self.ask(who, "PUT", f"/{project.id}", sent)
        name, description = name.strip(), project.description if description is None else description
        if not 0 < len(name) <= 200:
            assert answer.status == INVALID
        elif refused := project.refused(who, least="editor"):
            assert answer.status == refused
        else:
            assert answer.status == 200
            if (name, description) != (project.name, project.description):
                updated_at = answer["project"]["updated_at"]
                assert datetime.fromisoformat(updated_at) >= datetime.fromisoformat(project.updated_at)
                project.name, project.description, project.updated_at = name, description, updated_at
                project.changed()
            assert project.seen_by(who).items() <= answer["project"].items()

    @precondition(someone_is_there)
    @rule(who=people, number=which)
    def delete(self, who: str, number: int) -> None:
        project = self.project(number)
        answer = self.ask(who, "DELETE", f"/{project.id}")
        assert answer.status == (project.refused(who, least="owner") or 200)
        project.deleted = project.deleted or answer.status == 200

    @precondition(someone_is_there)
    @rule(who=people, number=which, whom=st.sampled_from([*NICKS, "nobody"]), role=st.sampled_from(ROLES))
    def add(self, who: str, number: int, whom: str, role: str) -> None:
        project = self.project(number)
        email = self.clients[whom].email.upper() if whom in self.clients else "nobody@example.com"
        answer = self.ask(who, "POST", f"/{project.id}/members", {"email": email, "role": role})
        if role == "owner":
            assert answer.status == INVALID
        elif refused := project.refused(who, least="owner"):
            assert answer.status == refused
        elif whom not in self.clients:
            assert answer.status == NOT_FOUND
        elif whom == project.owner:
            assert answer.status == CONFLICT
        else:
            before = project.members.get(whom)
            assert answer.status == (200 if before else 201)
            project.members[whom] = Member(role, before.created_at if before else answer["member"]["created_at"])
            if before is None or before.role != role:
                project.changed()
            assert self.member(project, whom).items() <= answer["member"].items()

    @precondition(someone_is_there)
    @rule(who=people, number=which, whom=people)
    def remove(self, who: str, number: int, whom: str) -> None:
        project = self.project(number)
        answer = self.ask(who, "DELETE", f"/{project.id}/members/{self.clients[whom].user_id}")
        if refused := project.refused(who, least="viewer" if who == whom else "owner"):
            assert answer.status == refused
        elif whom not in project.members:
            assert answer.status == NOT_FOUND
        elif whom == project.owner:
            assert answer.status == CONFLICT
        else:
            assert answer.status == 200
            del project.members[whom]
            project.changed()

    @precondition(someone_is_there)
    @rule(number=which, sent=st.lists(events, min_size=1, max_size=4))
    def announce(self, number: int, sent: list[Event]) -> None:
        self.on_the_way += [(self.project(number).id, event) for event in sent]

    @precondition(lambda self: self.on_the_way)
    @rule(chance=st.randoms(use_true_random=False))
    def deliver(self, chance: random.Random) -> None:
        """In any order, and some twice.

        A repeat of what a deleted project still holds changes nothing, and may be taken for done until it is purged.
        """
        arriving = self.on_the_way + chance.choices(self.on_the_way, k=2)
        self.on_the_way = []
        chance.shuffle(arriving)
        refused = repeats = 0
        bodies = []
        for project_id, event in arriving:
            resource = {"id": event.id, "name": event.name, "rows": event.second}
            at = f"2026-02-10T09:00:0{event.second}Z"
            bodies.append(self.app.event(f"{event.type.title()} {event.change}", project_id, resource, at))
            if self.model.projects[project_id].deleted:
                refused += 1
                repeats += self.model.projects[project_id].knows(event)
            else:
                self.model.projects[project_id].record(event)
        assert self.app.deliver(bodies) == []
        assert refused - repeats <= len(self.app.dead_letters()) <= refused

    @precondition(someone_is_there)
    @rule(who=people, number=which)
    def export(self, who: str, number: int) -> None:
        project = self.project(number)
        answer = self.ask(who, "POST", f"/{project.id}/exports")
        if refused := project.refused(who):
            assert answer.status == refused
            return
        assert answer.status == 202
        if not project.current:
            assert answer["export"]["id"] not in project.asked
            project.asked.append(answer["export"]["id"])
            project.pending = project.current = True
        assert answer["export"]["id"] == project.asked[-1]
        assert answer["export"]["status"] == ("pending" if project.pending else "ready")

    @rule()
    def process_queues(self) -> None:
        self.app.process_queues()
        self.model.worked_off()

    @precondition(someone_is_there)
    @rule(who=people, number=which, limit=st.integers(1, 3), type_=st.sampled_from([None, *TYPES]), order=st.booleans())
    def read(self, who: str, number: int, limit: int, type_: str | None, order: bool) -> None:
        """Everything there is to read of a project."""
        project = self.project(number)
        answers = {part: self.ask(who, "GET", f"/{project.id}{part}") for part in ("", "/members", "/exports")}
        if refused := project.refused(who):
            assert {answer.status for answer in answers.values()} == {refused}
            assert self.ask(who, "GET", f"/{project.id}/timeline").status == refused
            return
        assert project.seen_by(who).items() <= answers[""]["project"].items()
        assert [one["id"] for one in answers["/exports"]["items"]] == project.asked[::-1]
        joined = sorted(
            (self.member(project, nick) for nick in project.members),
            key=lambda one: (one["role"] != "owner", one["created_at"], one["user_id"]),
        )
        page = self.ask(who, "GET", f"/{project.id}/members?limit={limit}&offset=1")
        for shown, expected in ((answers["/members"], joined), (page, joined[1 : 1 + limit])):
            assert shown["total"] == len(joined)
            assert [{**one, **kept} for one, kept in zip(shown["items"], expected, strict=True)] == shown["items"]
        entries = project.resources(type_)[:: -1 if order else 1]
        assert self.timeline(who, project, limit, type_, order) == [(one.type, one.id, one.name) for one in entries]

    def timeline(
        self, who: str, project: Project, limit: int, type_: str | None, descending: bool
    ) -> list[tuple[str, str, str]]:
        query = f"limit={limit}{f'&type={type_}' if type_ else ''}&order={'desc' if descending else 'asc'}"
        found: list[tuple[str, str, str]] = []
        cursor = ""
        while True:
            page = self.ask(who, "GET", f"/{project.id}/timeline?{query}{cursor}")
            assert len(page["events"]) <= limit
            found += [(one["type"], one["id"], one["name"]) for one in page["events"]]
            if page["next_cursor"] is None:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    @rule(
        who=people,
        limit=st.integers(1, 4),
        offset=st.integers(0, 3),
        search=st.sampled_from(["", "", "ALPHA", "strasse"]),
        sort_field=st.sampled_from(["created_at", "name", "dataset_count", "model_count", "experiment_count"]),
        direction=st.sampled_from(["asc", "desc"]),
    )
    def list_projects(self, *, who: str, limit: int, offset: int, search: str, sort_field: str, direction: str) -> None:
        query = f"limit={limit}&offset={offset}&search={search}&sort_field={sort_field}&sort_direction={direction}"
        answer = self.ask(who, "GET", f"?{query}")
        found = self.model.listed(who, search=search, sort_field=sort_field, descending=direction == "desc")
        assert (answer["total"], answer["limit"], answer["offset"]) == (len(found), limit, offset)
        expected = [one.seen_by(who) for one in found[offset : offset + limit]]
        assert [{**one, **kept} for one, kept in zip(answer["items"], expected, strict=True)] == answer["items"]

    def member(self, project: Project, nick: str) -> dict[str, str]:
        client, member = self.clients[nick], project.members[nick]
        return {"user_id": client.user_id, "email": client.email, "role": member.role, "created_at": member.created_at}

    def teardown(self) -> None:
        assert self.app.broken_invariants() == []
        for project in self.model.projects.values():
            if not project.deleted:
                assert self.ask(project.owner, "DELETE", f"/{project.id}").status == 200
        self.app.process_queues()
        self.app.dead_letters()
        assert self.app.items(*self.model.projects) == []
        assert self.app.broken_invariants() == []


def test_any_sequence_is_answered_as_the_model_answers_it(app: InProcessApp, pytestconfig: pytest.Config) -> None:
    real = pytestconfig.getoption("engines") == "real"
    clients = {nick: app.user(nick) for nick in NICKS}
    examples, steps = (50, 40) if real else (8, 20)
    run_state_machine_as_test(
        lambda: AnySequence(app, clients),  # type: ignore[arg-type] # it is called, and may be any factory
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
