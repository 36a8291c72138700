"""What is true of the table whatever happened: one owner, counts that equal what they count, nothing left alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from projects_api.entities.ids import ProjectId
from projects_api.entities.project import Role
from projects_api.entities.resource import ResourceType
from projects_api.storage.dynamodb import keys
from projects_api.storage.dynamodb.item_mapping import count_attribute, resource_from_item, resource_to_item
from projects_api.storage.dynamodb.keys import Item

type Partition = dict[str, Item]


def broken_invariants(items: Iterable[Item]) -> list[str]:
    """What is wrong with a table that holds ``items``, in words; nothing, where all is well.

    A project that is being deleted may be there in part, until its purge is done.
    """
    partitions: dict[str, Partition] = defaultdict(dict)
    for item in items:
        partitions[item["PK"]["S"]][item["SK"]["S"]] = item
    wrong = []
    for pk, partition in partitions.items():
        kind, _, id_ = pk.partition("#")
        match kind:
            case "PROJECT":
                wrong += [f"project {id_}: {one}" for one in _of_project(id_, partition, partitions)]
            case "USER":
                wrong += [f"user {id_}: {one}" for one in _of_user(id_, partition, partitions)]
            case "EMAIL" | "APIKEY":
                if f"USER#{_user_of(kind, partition)}" not in partitions:
                    wrong.append(f"{pk}: its user is not there")
            case _:
                wrong.append(f"{pk}: nobody knows what this is")
    return wrong


def _user_of(kind: str, partition: Partition) -> str:
    (item,) = partition.values()
    return item["id" if kind == "EMAIL" else "user_id"]["S"]


def _of_project(id_: str, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    project = partition.get(keys.PROJECT)
    if project is None:
        yield f"it is not there, and {len(partition)} items of it are: {sorted(partition)[:3]}"
        return
    known = (keys.MEMBERS, keys.RESOURCES, keys.EXPORTS)
    if strangers := [sk for sk in partition if sk != keys.PROJECT and not sk.startswith(known)]:
        yield f"nobody knows what these are: {strangers}"
    if "deleted_at" in project:
        return
    yield from _of_members(project, partition, partitions)
    yield from _of_resources(project, partition)
    latest = project.get("latest_export_id")
    if latest and f"{keys.EXPORTS}{latest['S']}" not in partition:
        yield f"its latest export {latest['S']} is not there"


def _of_members(project: Item, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    members = {sk.removeprefix(keys.MEMBERS): one for sk, one in partition.items() if sk.startswith(keys.MEMBERS)}
    owners = [user for user, member in members.items() if member["role"]["S"] == Role.OWNER]
    if owners != [project["owner_id"]["S"]]:
        yield f"its owners are {owners}, and {project['owner_id']['S']} made it"
    if int(project["member_count"]["N"]) != len(members):
        yield f"it counts {project['member_count']['N']} members and has {len(members)}"
    for user, member in members.items():
        listed = partitions.get(f"USER#{user}", {}).get(_membership(project))
        if listed is None or listed["role"] != member["role"]:
            yield f"its member {user} with {member['role']} has {listed} in their list"


def _of_resources(project: Item, partition: Partition) -> Iterable[str]:
    items = [one for sk, one in partition.items() if sk.startswith(keys.RESOURCES)]
    there = Counter(one["type"]["S"] for one in items if "deleted" not in one)
    for type_ in ResourceType:
        if int(project[count_attribute(type_)]["N"]) != there[type_]:
            yield f"it counts {project[count_attribute(type_)]['N']} resources of type {type_} and has {there[type_]}"
    for item in items:
        if resource_to_item(ProjectId(project["id"]["S"]), resource_from_item(item)) != item:
            yield f"its {item['type']} {item['id']} does not stand where it says that it stands"


def _of_user(id_: str, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    user = partition.get("USER")
    if user is None:
        yield f"they are not there, and {sorted(partition)} are"
        return
    listed = {sk: one for sk, one in partition.items() if sk.startswith(keys.MEMBERSHIPS)}
    counted = int(user["project_count"]["N"]) if "project_count" in user else 0
    if counted != len(listed):
        yield f"they count {counted} projects and list {len(listed)}"
    for sk in listed:
        project_id = sk.rpartition("#")[2]
        project = partitions.get(f"PROJECT#{project_id}", {})
        if keys.PROJECT not in project:
            yield f"they list the project {project_id}, which is not there"
        elif f"{keys.MEMBERS}{id_}" not in project:
            yield f"they list the project {project_id}, of which they are no member"
        elif sk != _membership(project[keys.PROJECT]):
            yield f"they list the project {project_id} as of another time"
    for answer in (one for sk, one in partition.items() if sk.startswith("IDEMPOTENCY#")):
        if f"PROJECT#{answer['project_id']['S']}" not in partitions:
            yield f"an Idempotency-Key of theirs is known for {answer['project_id']['S']}, which is not there"


def _membership(project: Item) -> str:
    return f"{keys.MEMBERSHIPS}{project['created_at']['S']}#{project['id']['S']}"
