"""The page that shows the OpenAPI document, in a real browser."""

import io
import itertools
import json
import os
import uuid
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.test_session import announce, eventually, store
from tests.support.api_client import Client
from tests.support.running_stack import ROOT, RunningStack

#: How long the page may take to do something, in seconds.
MESSAGE_TIMEOUT = 20

#: The picture of the page in the docs. `PICTURES=docs/images make test-browser` takes it anew.
PICTURE = ROOT / "docs" / "images" / "api-docs.png"

#: In which colour Swagger UI shows a method.
COLOURS = {"post": (73, 204, 144), "get": (97, 175, 254), "put": (252, 161, 48), "delete": (249, 62, 62)}


@pytest.fixture
def page(chromium: Chrome, stack: RunningStack) -> Chrome:
    """The page, opened anew, with all that it shows."""
    chromium.get("about:blank")
    log(chromium, "browser")
    log(chromium, "performance")
    chromium.get(f"{stack.description['base_url']}/api/docs")
    found(chromium, ".opblock")
    return chromium


def log(page: Chrome, kind: str) -> list[dict[str, Any]]:
    """What the browser has logged since the last look."""
    lines: list[dict[str, Any]] = page.get_log(kind)  # type: ignore[no-untyped-call]  # selenium says nothing of it
    return lines


def found(page: Chrome | WebElement, selector: str) -> WebElement:
    """The first element that ``selector`` finds, once it is there."""
    driver = page if isinstance(page, Chrome) else page.parent
    element: WebElement = WebDriverWait(driver, MESSAGE_TIMEOUT).until(
        lambda _: page.find_elements(By.CSS_SELECTOR, selector)
    )[0]
    return element


def test_it_shows_every_operation_and_asks_nobody_else_for_anything(page: Chrome, stack: RunningStack) -> None:
    document = json.loads((ROOT / "docs" / "openapi.json").read_text())
    declared = {(method, path) for path, item in document["paths"].items() for method in item}
    shown = {
        (
            operation.find_element(By.CSS_SELECTOR, ".opblock-summary-method").text.lower(),
            operation.find_element(By.CSS_SELECTOR, ".opblock-summary-path").get_attribute("data-path"),
        )
        for operation in page.find_elements(By.CSS_SELECTOR, ".opblock")
    }
    assert shown == declared
    assert page.find_element(By.CSS_SELECTOR, ".info .title").text.startswith("Projects API")
    picture(page, "api-docs")
    assert [line for line in log(page, "browser") if line["level"] in {"SEVERE", "WARNING"}] == []
    base_url = stack.description["base_url"]
    assert {url.split("?")[0] for url in requested(page)} == {f"{base_url}/api/docs", f"{base_url}/api/openapi.json"}


def test_it_looks_as_the_picture_in_the_docs_does(page: Chrome) -> None:
    """By what no font changes: which methods are to be seen below one another, each in its colour, on white."""
    operations = page.find_elements(By.CSS_SELECTOR, ".opblock")
    methods = [operation.find_element(By.CSS_SELECTOR, ".opblock-summary-method") for operation in operations]
    edge = methods[0].rect["x"] + 5  # left of a method's letters
    screen, taken = Image.open(io.BytesIO(page.get_screenshot_as_png())), Image.open(PICTURE)
    assert screen.size == taken.size
    seen = bands(screen, edge)
    assert len(seen) >= 8
    assert seen == [method.text.lower() for method in methods[: len(seen)]]
    pictured = bands(taken, edge)
    both = min(len(seen), len(pictured))  # another font may push one more over the edge
    assert abs(len(seen) - len(pictured)) <= 2
    assert pictured[:both] == seen[:both]
    for one in (screen, taken):
        title = one.convert("L").crop(inked(page.find_element(By.CSS_SELECTOR, ".info .title"))).histogram()
        assert 0.01 < sum(title[:128]) / sum(title) < 0.5  # letters on white
        assert one.convert("RGB").getpixel((2, 2)) == (27, 27, 27)  # the bar with the key's field


def bands(image: Image.Image, x: float) -> list[str]:
    """The methods whose colours are found at ``x``, from the top down."""
    column = [image.convert("RGB").getpixel((int(x), y)) for y in range(image.height)]
    named = [next((name for name, colour in COLOURS.items() if pixel == colour), "") for pixel in column]
    return [name for name, run in itertools.groupby(named) if name and len(list(run)) > 10]


def inked(element: WebElement) -> tuple[int, int, int, int]:
    """The box of an element that is in view."""
    box = element.rect
    return int(box["x"]), int(box["y"]), int(box["x"] + box["width"]), int(box["y"] + box["height"])


def picture(page: Chrome, name: str) -> None:
    """Keeps a picture of the page, where the environment variable `PICTURES` names a folder for it."""
    if folder := os.environ.get("PICTURES"):
        page.save_screenshot(str(Path(folder) / f"{name}.png"))


def requested(page: Chrome) -> list[str]:
    """The URLs that the browser asked for, apart from those that hold what they name."""
    events: list[dict[str, Any]] = [json.loads(line["message"])["message"] for line in log(page, "performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if url.startswith("http")]


def test_a_request_is_tried_with_the_key_from_the_field_and_without(page: Chrome, stack: RunningStack) -> None:
    found(page, "#operations-Projects-list_projects .opblock-summary-control").click()
    operation = page.find_element(By.ID, "operations-Projects-list_projects")

    def answered(status: str) -> str:
        found(operation, ".btn.execute").click()
        WebDriverWait(page, MESSAGE_TIMEOUT).until(
            lambda _: (
                status
                in [
                    cell.text
                    for cell in operation.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status")
                ]
            )
        )
        return operation.find_element(By.CSS_SELECTOR, ".live-responses-table .highlight-code").text

    assert "Unauthorized" in answered("401")
    page.find_element(By.ID, "api-key").send_keys(stack.description["users"]["alice"]["api_key"])
    assert '"Card fraud"' in answered("200")
    picture(page, "tried")
    assert page.execute_script("return localStorage.length + sessionStorage.length + document.cookie.length") == 0


def test_a_large_archive_is_a_link_away(page: Chrome, stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    """No script of the page may ask S3, and so none can follow the redirect there."""
    project_id = alice.create("Speech")
    artifact = store(stack, project_id, "models/m.bin", bytes(5 << 20))
    announce(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    eventually(lambda: alice.get(f"/api/projects/{project_id}/timeline")["events"], 5)
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.find_element(By.ID, "api-key").send_keys(alice.api_key)
    found(page, "#operations-Exports-get_archive .opblock-summary-control").click()
    operation = page.find_element(By.ID, "operations-Exports-get_archive")
    found(operation, "input[placeholder=project_id]").send_keys(project_id)

    def linked(_: Chrome) -> bool:
        found(operation, ".btn.execute").click()
        found(operation, ".live-responses-table .highlight-code")
        return bool(operation.find_elements(By.CSS_SELECTOR, "a.archive"))

    WebDriverWait(page, MESSAGE_TIMEOUT, poll_frequency=1).until(linked)
    picture(page, "archive")
    found(operation, "a.archive").click()
    archive = tmp_path / "Speech.zip"
    eventually(archive.exists, MESSAGE_TIMEOUT)
    assert zipfile.ZipFile(archive).namelist() == ["manifest.json", "models/m.bin"]
    assert alice.delete(f"/api/projects/{project_id}").status == 200
