"""The file names of downloaded archives, and their Content-Disposition."""

import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects_api.domain.exports.file_names import MAX_BYTES, archive_file_name
from projects_api.storage.s3.signed_urls import content_disposition


@pytest.mark.parametrize(
    ("project_name", "file_name"),
    [
        ("Card fraud", "Card fraud.zip"),
        ("aux", "_aux.zip"),
        ("COM1.data", "_COM1.data.zip"),
        ("nul ", "_nul.zip"),
        ("lpt¹", "_lpt¹.zip"),
        ("案" * 200, "案" * 65 + ".zip"),
        ("😀" * 200, "😀" * 49 + ".zip"),
        ("x" * 200, "x" * 196 + ".zip"),
        ("x" * 195 + ". y", "x" * 195 + ".zip"),
        ("x" * 195 + "e\u0301\u0302", "x" * 195 + ".zip"),
        ("...", "project.zip"),
        (" . ", "project.zip"),
        (".profile", "profile.zip"),
        ("--help", "help.zip"),
        ("../../etc/passwd", "_.._etc_passwd.zip"),
        ('say "hi"; rm', "say _hi__ rm.zip"),
        ("100 %", "100 _.zip"),
        ("a:b|c?d*e<f>g\\h", "a_b_c_d_e_f_g_h.zip"),
        ("e\u0301", "\u00e9.zip"),
        ("\u202egpj", "_gpj.zip"),
        ("\u0301" * 200, "project.zip"),
    ],
)
def test_file_name(project_name: str, file_name: str) -> None:
    assert archive_file_name(project_name) == file_name


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_every_file_system_accepts_the_name(project_name: str) -> None:
    """The name fits, is no device of Windows, and is the same in both forms of the header."""
    name = archive_file_name(project_name)
    assert len(name.encode()) <= MAX_BYTES
    assert name.endswith(".zip")
    assert name == name.strip(" ")
    assert not re.search(r'[\x00-\x1f\x7f<>:"/\\|?*]', name)
    assert not re.match(r"(con|prn|aux|nul|com\d|lpt\d)\s*\.", name, re.IGNORECASE)
    assert not name.startswith((".", "-"))
    form = re.fullmatch(r"attachment; filename=\"([ -~]+)\"; filename\*=UTF-8''(\S+)", content_disposition(name))
    assert form
    assert unquote(form[2]) == name
    assert len(form[1]) == len(name)
    assert form[1] == "".join(c if c.isascii() else "_" for c in name)
