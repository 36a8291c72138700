"""Archives that people unpack and zip again with common programs: the service imports them, or says what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from projects_api.archive.archive_errors import ArchiveError
from tests.support.import_plans import plan_in_memory, read_files
from tests.support.project_files import FILES, UMLAUT

#: Commands that write the archive `../a.zip`. They run in the folder that has the files of a project.
COMMANDS = {
    "zip": "zip -qr ../a.zip .",
    "zip, stored": "zip -qr0 ../a.zip .",
    "zip, in a folder": "cd .. && zip -qr a.zip Churn",
    "zip, through a pipe": "zip -qr - . | cat > ../a.zip",
    "zip, with unnecessary ZIP64": "zip -qr -fz ../a.zip .",
    "zip, with a comment": "zip -qr ../a.zip . && echo 'for you' | zip -qz ../a.zip",
    "zip, in another order": "find . -type f | sort -r | zip -q@ ../a.zip",
    "zip, self-extracting": "zip -qr ../b.zip . && (echo '#!/bin/sh' | cat - ../b.zip) > ../a.zip && zip -qA ../a.zip",
    "7z": "7z a -bso0 -tzip ../a.zip .",
    "7z, stored": "7z a -bso0 -tzip -mm=Copy ../a.zip .",
    "7z, in a folder": "cd .. && 7z a -bso0 -tzip a.zip Churn",
    "bsdtar": "bsdtar --format zip -cf ../a.zip .",
    "bsdtar, stored, in a folder": "cd .. && bsdtar --format zip --options zip:compression=store -cf a.zip Churn",
    "jar": "jar -cf ../a.zip .",
    "jar, without its manifest": "jar -cfM ../a.zip .",
    "jar, stored": "jar -cf0 ../a.zip .",
    "Python": f"{sys.executable} -m zipfile -c ../a.zip *",
    "Python, in a folder": f"cd .. && {sys.executable} -m zipfile -c a.zip Churn",
    "Python's shutil": f'{sys.executable} -c \'import shutil; shutil.make_archive("../a", "zip")\'',
}

#: Commands whose archives are rejected, each with a part of the error.
REJECTED = {
    "zip -qr -P secret ../a.zip .": "it is encrypted",
    "7z a -bso0 -tzip -psecret -mem=AES256 ../a.zip .": "it is encrypted",
    "7z a -bso0 -tzip -mm=Deflate64 ../a.zip .": "its compression method is 9: use stored or deflated entries",
    "7z a -bso0 -tzip -mm=LZMA ../a.zip .": "its compression method is 14: use stored or deflated entries",
    "7z a -bso0 ../a.zip.7z . && mv ../a.zip.7z ../a.zip": "This is not a ZIP archive",
    "bsdtar -czf ../a.zip .": "This is not a ZIP archive",
    "ln -s manifest.json link && zip -qry ../a.zip .": "it is a link or a special file",
    "touch new && zip -qr ../a.zip .": "the manifest does not name it",
    "rm datasets/d.csv && zip -qr ../a.zip .": "The archive has no entry for the file",
    "echo more >> datasets/d.csv && zip -qr ../a.zip .": "its size or checksum is not the one in the manifest",
    "cp -r . ../other && cd .. && zip -qr a.zip Churn other": "The archive has no manifest.json",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with the files of an unpacked archive."""
    folder = tmp_path / "Churn"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def run(command: str, folder: Path) -> bytes:
    """Run a command, and return the archive that it has written."""
    subprocess.run(["bash", "-euo", "pipefail", "-c", command], cwd=folder, check=True, timeout=100)
    return (folder.parent / "a.zip").read_bytes()


@pytest.mark.parametrize("name", COMMANDS)
def test_archive_is_imported(folder: Path, name: str) -> None:
    """Every file is found with its name and content. A folder around everything and jar's own file are warnings."""
    plan = plan_in_memory(run(COMMANDS[name], folder))
    prefix = "Churn/" if "in a folder" in name else ""
    assert read_files(plan) == {prefix + path: content for path, content in FILES.items() if path != "manifest.json"}
    assert len(plan.warnings) == ("in a folder" in name) + (name in {"jar", "jar, stored"})
    assert plan.artifacts[UMLAUT].key.endswith("/reports/Größe.md")


@pytest.mark.parametrize("command", REJECTED)
def test_archive_is_rejected(folder: Path, command: str) -> None:
    with pytest.raises(ArchiveError) as caught:
        plan_in_memory(run(command, folder))
    assert REJECTED[command] in " ".join(caught.value.errors)
