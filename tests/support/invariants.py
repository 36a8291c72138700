"""The invariants of the table: one owner per project, correct counts, and no orphaned items."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from projects_api.entities.ids import ProjectId
from projects_api.entities.project import Role
from projects_api.entities.resource import ResourceType
from projects_api.storage.dynamodb import keys
from projects_api.storage.dynamodb.item_mapping import count_attribute, resource_from_item, resource_to_item
from projects_api.storage.dynamodb.keys import Item

type Partition = dict[str, Item]


def find_broken_invariants(items: Iterable[Item]) -> list[str]:
    """Return a sentence for each broken invariant of a table.

    A deleted project may lack some of its items until it is purged.

    Args:
        items: All items of the table.
    """
    partitions: dict[str, Partition] = defaultdict(dict)
    for item in items:
        partitions[item["PK"]["S"]][item["SK"]["S"]] = item
    problems: list[str] = []
    for pk, partition in partitions.items():
        problems += _check_partition(pk, partition, partitions)
    return problems


def _check_partition(pk: str, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    kind, _, id_ = pk.partition("#")
    match kind:
        case "PROJECT":
            yield from (f"project {id_}: {problem}" for problem in _check_project(id_, partition, partitions))
        case "USER":
            yield from (f"user {id_}: {problem}" for problem in _check_user(id_, partition, partitions))
        case "EMAIL" | "APIKEY":
            user = partitions.get(f"USER#{_get_user_id(kind, partition)}")
            if user is None or (kind == "APIKEY" and pk not in user):
                yield f"{pk}: its user does not exist, or does not list it"
        case "USERS":
            yield from _check_list_of_users(partition, partitions)
        case "SWEEP":
            pass
        case "ANNOUNCEMENT" | "ACTIVITY":
            yield from (f"{pk}: {problem}" for problem in _check_record(kind, id_, partition, partitions))
        case "IMPORT":
            yield from (f"import {id_}: {problem}" for problem in _check_import(partition, partitions))
        case _:
            yield f"{pk}: unknown kind of partition"


def _check_list_of_users(partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    difference = partition.keys() ^ {pk for pk in partitions if pk.startswith("USER#")}
    if difference:
        yield f"the list of all users differs from the users: {difference}"


def _get_user_id(kind: str, partition: Partition) -> str:
    (item,) = partition.values()
    return item["id" if kind == "EMAIL" else "user_id"]["S"]


def _check_project(id_: str, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    project = partition.get(keys.PROJECT)
    if project is None:
        yield f"it does not exist, but {len(partition)} of its items do: {sorted(partition)[:3]}"
        return
    prefixes = (keys.MEMBERS, keys.RESOURCES, keys.EXPORTS, keys.FILES, keys.IDEMPOTENCY)
    if unknown := [sk for sk in partition if sk != keys.PROJECT and not sk.startswith(prefixes)]:
        yield f"unknown items: {unknown}"
    if "deleted_at" in project:
        return
    if "import_id" in project:
        if f"IMPORT#{project['import_id']['S']}" not in partitions:
            yield "its import does not exist"
        return
    yield from _check_members(project, partition, partitions)
    yield from _check_resources(project, partition)
    latest = project.get("latest_export_id")
    if latest and f"{keys.EXPORTS}{latest['S']}" not in partition:
        yield f"its latest export {latest['S']} does not exist"


def _check_record(kind: str, id_: str, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    if kind == "ACTIVITY":
        if keys.PROJECT not in partitions.get(f"PROJECT#{id_.partition('#')[0]}", {}):
            yield "its project does not exist"
    elif partition.keys() != {"ANNOUNCEMENT"} or "pending_work" not in partition["ANNOUNCEMENT"]:
        yield "nobody will send it"


def _check_import(partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    (record,) = partition.values()
    project = partitions.get(f"PROJECT#{record['project_id']['S']}", {}).get(keys.PROJECT)
    match record["status"]["S"]:
        case "pending" | "running":
            if project is None or project.get("import_id") != record["id"]:
                yield "its project does not exist, or is not being imported"
        case "failed":
            if project and "deleted_at" not in project:
                yield "it has failed, but its project is not deleted"
        case "ready":
            if project and "import_id" in project:
                yield "it is ready, but nobody sees its project"


def _check_members(project: Item, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    members = {sk.removeprefix(keys.MEMBERS): item for sk, item in partition.items() if sk.startswith(keys.MEMBERS)}
    owners = [user for user, member in members.items() if member["role"]["S"] == Role.OWNER]
    if owners != [project["owner_id"]["S"]]:
        yield f"its owners are {owners}, but its owner_id is {project['owner_id']['S']}"
    if int(project["member_count"]["N"]) != len(members):
        yield f"its member_count is {project['member_count']['N']}, but it has {len(members)} members"
    for user, member in members.items():
        listed = partitions.get(f"USER#{user}", {}).get(_membership_key(project))
        if listed is None or listed["role"] != member["role"]:
            yield f"its member {user} has the role {member['role']}, but the user's list of projects has {listed}"


def _check_resources(project: Item, partition: Partition) -> Iterable[str]:
    items = [item for sk, item in partition.items() if sk.startswith(keys.RESOURCES)]
    actual = Counter(item["type"]["S"] for item in items if "deleted" not in item)
    for type_ in ResourceType:
        stored = project[count_attribute(type_)]["N"]
        if int(stored) != actual[type_]:
            yield f"its {count_attribute(type_)} is {stored}, but it has {actual[type_]} resources of type {type_}"
    for item in items:
        if resource_to_item(ProjectId(project["id"]["S"]), resource_from_item(item)) != item:
            yield f"the keys of its {item['type']} {item['id']} do not match the resource"
    named = Counter(item["artifact_key"]["S"] for item in items if "artifact_uploaded" in item)
    files = {item["key"]["S"]: item for sk, item in partition.items() if sk.startswith(keys.FILES)}
    for key in named.keys() | files.keys():
        stored = files[key]["resource_count"]["N"] if key in files else "missing"
        if stored != str(named[key]):
            yield f"the resource_count of its file {key} is {stored}, but {named[key]} resources name the file"
    for key, item in files.items():
        if item["resource_count"]["N"] == "0" and not {"pending_work", "upload_id"} & item.keys():
            yield f"nobody will delete its file {key}"


def _check_uploads(user: Item, partition: Partition) -> Iterable[str]:
    uploads = [item for sk, item in partition.items() if sk.startswith(keys.UPLOADS)]
    unfinished = [item for item in uploads if item["status"]["S"] != "completed"]
    upload_count = int(user["upload_count"]["N"]) if "upload_count" in user else 0
    if upload_count != len(unfinished):
        yield f"the upload_count is {upload_count}, but {len(unfinished)} uploads are unfinished"
    for item in uploads:
        if ("pending_work" in item) == (item["status"]["S"] == "completed"):
            yield f"the upload {item['id']['S']} with the status {item['status']['S']} has the wrong pending work"


def _check_user(id_: str, partition: Partition, partitions: dict[str, Partition]) -> Iterable[str]:
    user = partition.get("USER")
    if user is None:
        yield f"the user does not exist, but {sorted(partition)} do"
        return
    memberships = [sk for sk in partition if sk.startswith(keys.MEMBERSHIPS)]
    project_count = int(user["project_count"]["N"]) if "project_count" in user else 0
    if project_count != len(memberships):
        yield f"the project_count is {project_count}, but {len(memberships)} projects are listed"
    yield from _check_uploads(user, partition)
    for sk in memberships:
        project_id = sk.rpartition("#")[2]
        project = partitions.get(f"PROJECT#{project_id}", {})
        if keys.PROJECT not in project:
            yield f"the listed project {project_id} does not exist"
        elif f"{keys.MEMBERS}{id_}" not in project:
            yield f"the listed project {project_id} does not have the user as a member"
        elif sk != _membership_key(project[keys.PROJECT]):
            yield f"the project {project_id} is listed with another creation time"
    for record in (item for sk, item in partition.items() if sk.startswith(keys.IDEMPOTENCY)):
        if "project_id" in record and f"PROJECT#{record['project_id']['S']}" not in partitions:
            yield f"an Idempotency-Key refers to the project {record['project_id']['S']}, which does not exist"


def _membership_key(project: Item) -> str:
    return f"{keys.MEMBERSHIPS}{project['created_at']['S']}#{project['id']['S']}"
