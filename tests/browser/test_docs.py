"""The page with the OpenAPI document, in Chromium."""

import io
import itertools
import json
import os
import re
import threading
import tomllib
import uuid
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.e2e.test_session import publish_event, store_artifact, wait_until
from tests.support.api_client import Client
from tests.support.running_stack import ROOT, RunningStack

#: How long the page may take to react, in seconds.
TIMEOUT = 120

#: The screenshot of the page in the docs. `PICTURES=docs/images make test-browser` updates it.
SCREENSHOT = ROOT / "docs" / "images" / "api-docs.png"

#: The colors of the methods in Swagger UI.
COLORS = {"post": (73, 204, 144), "get": (97, 175, 254), "put": (252, 161, 48), "delete": (249, 62, 62)}


@pytest.fixture
def page(chromium: Chrome, stack: RunningStack) -> Iterator[Chrome]:
    """Open the page, and wait until it shows the operations."""
    chromium.get("about:blank")
    read_log(chromium, "browser")
    read_log(chromium, "performance")
    chromium.get(f"{stack.description['base_url']}/api/docs")
    wait_for_element(chromium, ".opblock")
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def read_log(page: Chrome, kind: str) -> list[dict[str, Any]]:
    """Return the entries of a log of the browser since the last call."""
    lines: list[dict[str, Any]] = page.get_log(kind)  # type: ignore[no-untyped-call]  # selenium does not annotate it
    return lines


def wait_for_element(page: Chrome | WebElement, selector: str) -> WebElement:
    """Wait for an element, and return the first one that a CSS selector matches."""
    driver = page if isinstance(page, Chrome) else page.parent
    element: WebElement = WebDriverWait(driver, TIMEOUT).until(lambda _: page.find_elements(By.CSS_SELECTOR, selector))[
        0
    ]
    return element


def test_page_shows_all_operations(page: Chrome, stack: RunningStack) -> None:
    """The page shows every operation without warnings, and loads nothing from other servers."""
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
    save_screenshot(page, "api-docs")
    assert [line for line in read_log(page, "browser") if line["level"] in {"SEVERE", "WARNING"}] == []
    base_url = stack.description["base_url"]
    assert {url.split("?")[0] for url in list_requested_urls(page)} == {
        f"{base_url}/api/docs",
        f"{base_url}/api/openapi.json",
    }


def test_page_looks_like_screenshot(page: Chrome) -> None:
    """The page shows the same methods in the same colors as the screenshot in the docs. Fonts may differ."""
    operations = page.find_elements(By.CSS_SELECTOR, ".opblock")
    methods = [operation.find_element(By.CSS_SELECTOR, ".opblock-summary-method") for operation in operations]
    edge = methods[0].rect["x"] + 5  # left of the text of each method
    current, documented = Image.open(io.BytesIO(page.get_screenshot_as_png())), Image.open(SCREENSHOT)
    assert current.size == documented.size
    current_methods = find_methods(current, edge)
    assert len(current_methods) >= 8
    assert current_methods == [method.text.lower() for method in methods[: len(current_methods)]]
    documented_methods = find_methods(documented, edge)
    # the last methods may be outside the screen, depending on the font
    assert abs(len(current_methods) - len(documented_methods)) <= 2
    common = min(len(current_methods), len(documented_methods))
    assert documented_methods[:common] == current_methods[:common]
    for image in (current, documented):
        title = image.convert("L").crop(get_box(page.find_element(By.CSS_SELECTOR, ".info .title"))).histogram()
        assert 0.01 < sum(title[:128]) / sum(title) < 0.5  # dark letters on white
        assert image.convert("RGB").getpixel((2, 2)) == (27, 27, 27)  # the bar with the field for the API key


def find_methods(image: Image.Image, x: float) -> list[str]:
    """Return the methods whose colors an image has at `x`, from top to bottom."""
    column = [image.convert("RGB").getpixel((int(x), y)) for y in range(image.height)]
    names = [next((name for name, color in COLORS.items() if pixel == color), "") for pixel in column]
    return [name for name, run in itertools.groupby(names) if name and len(list(run)) > 10]


def get_box(element: WebElement) -> tuple[int, int, int, int]:
    """Return the left, top, right and bottom of an element in view."""
    box = element.rect
    return int(box["x"]), int(box["y"]), int(box["x"] + box["width"]), int(box["y"] + box["height"])


def save_screenshot(page: Chrome, name: str) -> None:
    """Save a screenshot of the page in the folder that the environment variable `PICTURES` names, if it is set."""
    if folder := os.environ.get("PICTURES"):
        page.save_screenshot(str(Path(folder) / f"{name}.png"))


def list_requested_urls(page: Chrome) -> list[str]:
    """Return the HTTP URLs that the browser requested, without `data:` and similar URLs."""
    events: list[dict[str, Any]] = [json.loads(line["message"])["message"] for line in read_log(page, "performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if url.startswith("http")]


def test_try_request_with_and_without_key(page: Chrome, stack: RunningStack) -> None:
    wait_for_element(page, "#operations-Projects-list_projects .opblock-summary-control").click()
    operation = page.find_element(By.ID, "operations-Projects-list_projects")

    def execute(status: str) -> str:
        wait_for_element(operation, ".btn.execute").click()
        WebDriverWait(page, TIMEOUT).until(
            lambda _: (
                status
                in [
                    cell.text
                    for cell in operation.find_elements(By.CSS_SELECTOR, ".live-responses-table .response-col_status")
                ]
            )
        )
        return operation.find_element(By.CSS_SELECTOR, ".live-responses-table .highlight-code").text

    assert "Unauthorized" in execute("401")
    page.find_element(By.ID, "api-key").send_keys(stack.description["users"]["alice"]["api_key"])
    assert '"Card fraud"' in execute("200")
    save_screenshot(page, "response")
    assert page.execute_script("return localStorage.length + sessionStorage.length + document.cookie.length") == 0


def execute_first_operation(page: Chrome, api_key: str) -> WebElement:
    """Enter an API key, execute the operation that lists projects, and return the operation."""
    page.find_element(By.ID, "api-key").send_keys(api_key)
    wait_for_element(page, "#operations-Projects-list_projects .opblock-summary-control").click()
    operation = page.find_element(By.ID, "operations-Projects-list_projects")
    wait_for_element(operation, ".btn.execute").click()
    wait_for_element(operation, ".live-responses-table .highlight-code")
    return operation


class BasePathProxy(BaseHTTPRequestHandler):
    """Custom domain whose API mapping has the base path ``/ml``."""

    target: str

    def do_GET(self) -> None:
        if not self.path.startswith("/ml/"):
            self.send_error(404)
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() in {"accept", "authorization"}}
        response = requests.get(self.target + self.path.removeprefix("/ml"), headers=headers, timeout=TIMEOUT)
        self.send_response(response.status_code)
        self.send_header("Content-Type", response.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(response.content)


def test_requests_below_a_base_path(chromium: Chrome, stack: RunningStack) -> None:
    """Requests of the page go to the base path that the page itself has."""
    handler = type("Proxy", (BasePathProxy,), {"target": stack.description["base_url"]})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            chromium.get(f"http://127.0.0.1:{server.server_port}/ml/api/docs")
            operation = execute_first_operation(chromium, stack.description["users"]["alice"]["api_key"])
            assert "Card fraud" in operation.find_element(By.CSS_SELECTOR, ".live-responses-table").text
            request_url = operation.find_element(By.CSS_SELECTOR, ".request-url").text
            assert f":{server.server_port}/ml/api/projects" in request_url
        finally:
            server.shutdown()


def test_key_is_masked(page: Chrome, stack: RunningStack) -> None:
    """The key is shown nowhere on the page, and the curl line says where it belongs."""
    api_key = stack.description["users"]["alice"]["api_key"]
    operation = execute_first_operation(page, api_key)
    assert "Authorization: Bearer prj_…" in operation.find_element(By.CSS_SELECTOR, ".curl-command").text
    assert api_key not in page.find_element(By.TAG_NAME, "html").get_attribute("outerHTML")  # type: ignore[operator]  # str | dict | None
    assert page.find_element(By.ID, "api-key").get_attribute("type") == "password"


def test_schemas_are_collapsed(page: Chrome) -> None:
    section = wait_for_element(page, "section.models")
    assert "is-open" not in str(section.get_attribute("class"))
    assert not page.find_elements(By.CSS_SELECTOR, ".model-container, section.models article")
    section.find_element(By.CSS_SELECTOR, "button").click()
    wait_for_element(page, "section.models.is-open")


def test_links(page: Chrome) -> None:
    """The page links to the guide and the source, in another tab and without a referrer."""
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]
    for name, url in (("Guide", urls["Guide"]), ("Source", urls["Source"])):
        link = page.find_element(By.CSS_SELECTOR, ".info").find_element(By.LINK_TEXT, name)
        assert (link.get_attribute("href") or "").rstrip("/") == url
        assert link.get_attribute("target") == "_blank"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_layout(page: Chrome, stack: RunningStack, width: int, theme: str) -> None:
    """On a phone and a desktop, in both themes: nothing is cut off, and every text stands out from its background."""
    metrics = {"width": width, "height": 1400, "deviceScaleFactor": 1, "mobile": width < 700}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    save_screenshot(page, f"api-docs-{width}-{theme}")
    execute_first_operation(page, stack.description["users"]["alice"]["api_key"])
    page.find_element(By.CSS_SELECTOR, "#operations-Projects-create_project .opblock-summary-control").click()
    wait_for_element(page, "#operations-Projects-create_project textarea")
    save_screenshot(page, f"api-docs-{width}-{theme}-response")
    assert page.execute_script("return document.documentElement.scrollWidth") <= width
    # an element may be wider than the screen only inside one that scrolls by itself
    cut_off = page.execute_script(
        """return [...document.querySelectorAll('#key *, .swagger-ui *')].filter(element => {
             const box = element.getBoundingClientRect();
             const scrolls = element.closest('pre, code, textarea, .highlight-code, .curl-command');
             return box.width && !scrolls && (box.right > innerWidth + 1 || box.left < -1);
           }).map(element => element.className)"""
    )
    assert cut_off == []
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert measure_brightness(background) > 240 if theme == "light" else measure_brightness(background) < 60
    for selector in (
        ".info .title",
        ".info p",
        ".opblock-tag",
        ".opblock-summary-path",
        ".opblock-summary-description",
    ):
        color = page.execute_script("return getComputedStyle(document.querySelector(arguments[0])).color", selector)
        assert abs(measure_brightness(color) - measure_brightness(background)) > 110, selector


def measure_brightness(color: str) -> float:
    """Return the brightness of a CSS color, from 0 (black) to 255 (white)."""
    red, green, blue = (int(number) for number in re.findall(r"\d+", color)[:3])
    return 0.299 * red + 0.587 * green + 0.114 * blue


def test_archive_link(page: Chrome, stack: RunningStack, alice: Client, tmp_path: Path) -> None:
    """The page links to a large archive, because its scripts must not follow the redirect to S3."""
    project_id = alice.create("Speech")
    artifact = store_artifact(stack, project_id, "models/m.bin", bytes(5 << 20))
    publish_event(stack, project_id, "Model", {"id": str(uuid.uuid4()), "name": "m", "artifact": artifact})
    wait_until(lambda: alice.get(f"/api/projects/{project_id}/timeline")["events"])
    page.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.find_element(By.ID, "api-key").send_keys(alice.api_key)
    wait_for_element(page, "#operations-Exports-get_archive .opblock-summary-control").click()
    operation = page.find_element(By.ID, "operations-Exports-get_archive")
    wait_for_element(operation, "input[placeholder=project_id]").send_keys(project_id)

    def has_link(_: Chrome) -> bool:
        wait_for_element(operation, ".btn.execute").click()
        wait_for_element(operation, ".live-responses-table .highlight-code")
        return bool(operation.find_elements(By.CSS_SELECTOR, "a.archive"))

    WebDriverWait(page, TIMEOUT, poll_frequency=1).until(has_link)
    save_screenshot(page, "archive")
    wait_for_element(operation, "a.archive").click()
    archive = tmp_path / "Speech.zip"
    wait_until(archive.exists)
    assert zipfile.ZipFile(archive).namelist() == ["manifest.json", "models/m.bin"]
    assert alice.delete(f"/api/projects/{project_id}").status == 200
