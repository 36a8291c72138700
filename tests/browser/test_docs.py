"""The page that shows the OpenAPI document, in a real browser."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.running import ROOT, RunningStack

#: How long the page may take to do something, in seconds.
PATIENCE = 20


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
    lines: list[dict[str, Any]] = page.get_log(kind)  # type: ignore[no-untyped-call]
    return lines


def found(page: Chrome | WebElement, selector: str) -> WebElement:
    """The first element that ``selector`` finds, once it is there."""
    driver = page if isinstance(page, Chrome) else page.parent
    element: WebElement = WebDriverWait(driver, PATIENCE).until(
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
    picture(page, "page")
    assert [line for line in log(page, "browser") if line["level"] in {"SEVERE", "WARNING"}] == []
    base_url = stack.description["base_url"]
    assert {url.split("?")[0] for url in requested(page)} == {f"{base_url}/api/docs", f"{base_url}/api/openapi.json"}


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
        WebDriverWait(page, PATIENCE).until(
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
