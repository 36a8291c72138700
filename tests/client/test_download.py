"""A download ends with the whole archive, or with a part that the next run goes on with; never with a wrong file."""

import json
import os
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from tests.client.conftest import FILES
from tests.support.cli_process import PROGRAM, Projects
from tests.support.fake_api import PROJECT, PROJECT_ID, Service, archive

MIB = 1 << 20


def export(projects: Projects, *more: str) -> tuple[int, str]:
    ended = projects("export", PROJECT_ID, "-o", "project.zip", *more)
    return ended.code, ended.err


def wait_for(part: Path) -> None:
    """Waits until a download has got a MiB, which it then waits for more of."""
    deadline = time.monotonic() + 20
    while not part.exists() or part.stat().st_size < MIB // 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_whole_download_is_checked_and_then_named(service: Service, projects: Projects) -> None:
    ended = projects("export", PROJECT_ID)
    assert (ended.code, ended.out) == (0, "Card fraud.zip\n")
    assert "2 files" in ended.err
    assert "CRC-32" in ended.err
    assert (projects.folder / "Card fraud.zip").read_bytes() == service.data
    assert left(projects.folder) == ["Card fraud.zip"]


def test_a_download_that_breaks_off_goes_on_from_there(service: Service, projects: Projects) -> None:
    service.cuts.extend([MIB, MIB])
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data
    ranges = [request.headers.get("Range") for request in service.downloads]
    assert ranges[0] is None
    starts = [int(str(one).removeprefix("bytes=").rstrip("-")) for one in ranges[1:]]
    assert 0 < starts[0] <= MIB < starts[1] <= 2 * MIB
    assert {request.headers["If-Match"] for request in service.downloads[1:]} == {'"one"'}


def test_a_program_that_is_killed_is_gone_on_with_by_the_next(service: Service, projects: Projects) -> None:
    service.cuts.append(2 * MIB)
    service.stalls = True
    started = projects.start("export", PROJECT_ID, "-o", "project.zip")
    part = projects.folder / "project.zip.part"
    deadline = time.monotonic() + 20
    while not part.exists() or part.stat().st_size < MIB:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started.kill()
    started.communicate()
    size = part.stat().st_size
    assert not (projects.folder / "project.zip").exists()
    ended = projects("export", PROJECT_ID, "-o", "project.zip", "--json")
    assert ended.json["resumed_at"] == size
    assert service.downloads[-1].headers["Range"] == f"bytes={size}-"
    assert (projects.folder / "project.zip").read_bytes() == service.data
    assert left(projects.folder) == ["project.zip"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_stops_it_keeps_the_part(service: Service, projects: Projects, number: int, code: int) -> None:
    service.cuts.append(2 * MIB)
    service.stalls = True
    started = projects.start("export", PROJECT_ID, "-o", "project.zip")
    part = projects.folder / "project.zip.part"
    deadline = time.monotonic() + 20
    while not part.exists() or not part.stat().st_size:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started.send_signal(number)
    _, err = started.communicate(timeout=20)
    assert started.returncode == code
    assert "goes on from where project.zip.part ends" in err
    assert "Traceback" not in err
    assert left(projects.folder) == ["project.zip.part", "project.zip.part.json"]


def test_who_stops_it_before_the_first_byte_is_told_of_no_part(service: Service, projects: Projects) -> None:
    service.cuts.append(0)
    service.stalls = True
    started = projects.start("export", PROJECT_ID)
    deadline = time.monotonic() + 20
    while not service.downloads:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (projects.folder / "Card fraud.zip.part").unlink(missing_ok=True)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=20)
    assert started.returncode == 130
    assert "Nothing has been downloaded" in err


def test_who_stops_waiting_is_told_that_the_export_goes_on(service: Service, projects: Projects) -> None:
    service.export = {"status": "running", "size_bytes": None}
    started = projects.start("export", PROJECT_ID)
    deadline = time.monotonic() + 20
    while len(service.requests) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    started.send_signal(signal.SIGINT)
    _, err = started.communicate(timeout=20)
    assert started.returncode == 130
    assert "The export goes on without you" in err


def test_without_a_terminal_it_says_what_it_does(service: Service, projects: Projects) -> None:
    running = {"id": service.export_id, "status": "running", "size_bytes": None, "error": None,
               "progress": {"bytes_done": 0, "bytes_total": 9, "files_done": 0, "files_total": 1}}  # fmt: skip
    service.answers.extend([(200, {"project": PROJECT}, {}), *[(202, {"export": running}, {})] * 6])
    code, err = export(projects)
    assert code == 0
    assert err.splitlines()[:2] == ["Making the export …", "Downloading 3.0 MiB …"]


def test_a_url_that_expires_meanwhile_is_signed_afresh(service: Service, projects: Projects) -> None:
    service.cuts.append(MIB)
    first = service.signed + 2  # one in the answer to POST, one for the download
    service.signature = first
    projects_code = export(projects)[0]
    assert projects_code == 0
    service.requests.clear()
    (projects.folder / "project.zip").unlink()
    service.cuts.append(MIB)
    service.signature = service.signed + 3  # the URL of the download is too old from the start
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_a_part_of_an_earlier_export_is_not_gone_on_with(service: Service, projects: Projects) -> None:
    (projects.folder / "project.zip.part").write_bytes(b"something else")
    earlier = {"export_id": str(uuid.uuid4()), "etag": '"zero"', "size": len(service.data)}
    (projects.folder / "project.zip.part.json").write_text(json.dumps(earlier))
    code, err = export(projects)
    assert code == 0
    assert "is of another export" in err
    assert "Range" not in service.downloads[0].headers
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_an_object_that_was_replaced_is_downloaded_from_its_start(service: Service, projects: Projects) -> None:
    service.cuts.extend([MIB, 0, 0, 0, 0])
    assert export(projects)[0] == 7
    service.etag = '"two"'
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data
    assert [request.headers.get("Range") for request in service.downloads][-1] is None


def test_a_storage_that_sends_all_instead_of_a_range_is_understood(service: Service, projects: Projects) -> None:
    service.honours_range = False
    service.cuts.append(MIB)
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


@pytest.mark.parametrize("rest", [None, "0", "-1", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"])
def test_a_storage_that_is_down_for_a_moment_is_asked_again(
    service: Service, projects: Projects, rest: str | None
) -> None:
    service.refusals.append((503, {"Retry-After": rest} if rest else {}))
    assert export(projects)[0] == 0


def test_bytes_of_another_archive_are_gone_before_the_note_says_that_they_are_of_this_one(
    service: Service, projects: Projects
) -> None:
    part = projects.folder / "project.zip.part"
    part.write_bytes(b"something else")
    note = projects.folder / "project.zip.part.json"
    note.mkdir()  # so that it can't be written: where a program ends that dies right before
    assert export(projects)[0] == 1
    assert not part.exists()


def test_a_storage_that_stays_down_leaves_the_part_for_later(service: Service, projects: Projects) -> None:
    service.cuts.append(MIB)
    service.cuts.extend([0] * 4)
    code, err = export(projects)
    assert code == 7
    assert "goes on from here" in err
    assert left(projects.folder) == ["project.zip.part", "project.zip.part.json"]


def encrypted(data: bytes) -> bytes:
    """The same, but that the directory says of its last file that it is encrypted (APPNOTE 4.4.4, bit 0)."""
    flags = data.rindex(b"PK\x01\x02") + 8
    return data[:flags] + b"\x01" + data[flags + 1 :]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (encrypted(archive(FILES)), "encrypted"),
        (archive(FILES, crc32="00000000"), "CRC-32"),
        (archive(FILES, size=1), "its manifest says 1"),
        (archive(FILES).replace(b"# Report", b"# report"), "report.md"),
        (archive(FILES)[:-100], "damaged"),
        (b"no archive at all", "damaged"),
    ],
    ids=["encrypted", "crc32", "size", "flipped", "short", "no-zip"],
)
def test_what_is_not_as_its_manifest_says_never_gets_the_name(
    service: Service, projects: Projects, data: bytes, complaint: str
) -> None:
    service.data = data
    code, err = export(projects)
    assert code == 9
    assert complaint in err
    assert left(projects.folder) == []


@pytest.mark.parametrize(
    ("output", "code", "says"),
    [("-", 2, "not '-'"), ("nowhere/a.zip", 1, "no folder nowhere"), ("nowhere/", 1, "no folder nowhere")],
)
def test_where_no_archive_can_be_written_none_is_asked_for(
    service: Service, projects: Projects, output: str, code: int, says: str
) -> None:
    ended = projects("export", PROJECT_ID, "-o", output)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err
    assert service.requests == []
    assert left(projects.folder) == []


def test_an_archive_at_hand_can_be_verified_without_the_api(service: Service, projects: Projects) -> None:
    file = projects.folder / "a.zip"
    file.write_bytes(service.data)
    assert projects("verify", "a.zip", "--json", PROJECTS_API_URL="").json["files"] == 2
    file.write_bytes(service.data.replace(b"# Report", b"# report"))
    assert projects("verify", "a.zip").code == 9


def test_a_file_that_exists_is_replaced_only_by_force(service: Service, projects: Projects) -> None:
    (projects.folder / "project.zip").write_text("mine")
    assert export(projects)[0] == 6
    assert (projects.folder / "project.zip").read_text() == "mine"
    assert service.downloads == []
    assert export(projects, "--force")[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_a_file_that_comes_meanwhile_is_replaced_only_by_force(service: Service, projects: Projects) -> None:
    service.cuts.append(MIB)
    service.stalls = True
    started = projects.start("export", PROJECT_ID, "-o", "project.zip")
    wait_for(projects.folder / "project.zip.part")
    (projects.folder / "project.zip").write_text("mine")
    service.stalls = False
    service.stalled.set()
    _, err = started.communicate(timeout=60)
    assert (started.returncode, "is there by now" in err) == (6, True)
    assert (projects.folder / "project.zip").read_text() == "mine"
    asked = len(service.downloads)
    assert export(projects, "--force")[0] == 0
    assert len(service.downloads) == asked
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_a_part_that_no_download_has_written_is_kept_but_for_force(service: Service, projects: Projects) -> None:
    part = projects.folder / "project.zip.part"
    part.write_text("mine")
    code, err = export(projects)
    assert (code, "is no download" in err, part.read_text()) == (6, True, "mine")
    assert export(projects, "--force")[0] == 0
    assert left(projects.folder) == ["project.zip"]


def test_two_exports_do_not_write_one_file(service: Service, projects: Projects) -> None:
    service.cuts.append(MIB)
    service.stalls = True
    first = projects.start("export", PROJECT_ID, "-o", "project.zip")
    wait_for(projects.folder / "project.zip.part")
    code, err = export(projects, "--force")
    assert (code, "Another `projects export` writes project.zip" in err) == (6, True)
    service.stalls = False
    service.stalled.set()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert left(projects.folder) == ["project.zip"]


@pytest.mark.parametrize("etag", [5, "a\nb", "é\u2028", [[]], '"zero"'])
def test_a_note_that_somebody_has_written_into_is_passed_over(
    service: Service, projects: Projects, etag: object
) -> None:
    (projects.folder / "project.zip.part").write_bytes(service.data[:MIB])
    note = {"export_id": service.export_id, "etag": etag, "size": len(service.data)}
    (projects.folder / "project.zip.part.json").write_text(json.dumps(note))
    assert export(projects)[0] == 0
    assert (projects.folder / "project.zip").read_bytes() == service.data


def test_what_is_no_file_is_not_replaced(service: Service, projects: Projects) -> None:
    os.mkfifo(projects.folder / "pipe")
    (projects.folder / "folder" / "Card fraud.zip").mkdir(parents=True)
    for name in ("pipe", "folder"):
        ended = projects("export", PROJECT_ID, "-o", name, "--force")
        assert (ended.code, "no file" in ended.err) == (6, True)
    assert service.downloads == []
    assert left(projects.folder) == ["folder", "pipe"]


def test_a_long_name_is_cut_so_that_all_files_of_a_download_have_room(service: Service, projects: Projects) -> None:
    service.answers.append((200, {"project": PROJECT | {"name": "가" * 200}}, {}))
    ended = projects("export", PROJECT_ID, PYTHONIOENCODING="ascii")
    assert (ended.code, ended.out) == (0, f"{'가' * 66}.zip\n")
    assert left(projects.folder) == [f"{'가' * 66}.zip"]
    long = f"{'n' * 250}.zip"
    asked = len(service.requests)
    ended = projects("export", PROJECT_ID, "-o", long)
    assert (ended.code, "name too long" in ended.err) == (1, True)
    assert len(service.requests) == asked + 1


def test_a_full_disk_is_said_with_the_name_of_the_part(service: Service, projects: Projects) -> None:
    small = projects.folder / "small"
    small.mkdir()
    command = f"ulimit -f 1024; trap '' XFSZ; exec {PROGRAM} export {PROJECT_ID} -o small/"
    ended = subprocess.run(["bash", "-c", command], cwd=projects.folder, env=os.environ | projects.environment,
                           capture_output=True, text=True, check=False, timeout=60)  # fmt: skip
    assert (ended.returncode, "zip.part: File too large. The same command goes on" in ended.stderr) == (1, True)
    assert export(Projects(small, projects.environment), "-o", "Card fraud.zip")[0] == 0
    assert "Range" in service.downloads[-1].headers


def test_an_export_that_failed_says_why(service: Service, projects: Projects) -> None:
    service.export = {"status": "failed", "error": "models/m.bin changed while it was read."}
    code, err = export(projects)
    assert code == 8
    assert "models/m.bin changed while it was read." in err


def test_an_export_in_the_making_is_waited_for(service: Service, projects: Projects) -> None:
    running = {"id": service.export_id, "status": "running", "size_bytes": None, "error": None,
               "progress": {"bytes_done": 0, "bytes_total": 9, "files_done": 0, "files_total": 1}}  # fmt: skip
    service.answers.extend(
        [(200, {"project": PROJECT}, {}), (202, {"export": running}, {}), (200, {"export": running}, {})]
    )
    assert export(projects)[0] == 0
