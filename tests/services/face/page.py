"""Looks at the page of a job in headless Chromium: page.py URL CHROMIUM PID [PICTURES]

Clicks, keys, a live update, a stale server, barriers (axe-core), console lines, requests to elsewhere, nothing wider than the window.
PID: the job's process, which is made to hang for a while. Prints what it saw; ends with 1 at the first fault. PICTURES: a directory for screenshots.
"""
import json
import os
import signal
import sys
import time
import urllib.request
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect, sync_playwright

URL, CHROMIUM, PID = sys.argv[1], sys.argv[2], int(sys.argv[3])
PICTURES = Path(sys.argv[4]) if len(sys.argv) > 4 else None
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]
SIZES = [(390, 844), (1280, 900), (2560, 1300)]


def get(path):
    with urllib.request.urlopen(URL + path, timeout=10) as answer:
        return json.load(answer)


def watch(page):
    """Console lines, errors, and requests that leave this server."""
    faults = []
    page.on("console", lambda line: faults.append(f"console: {line.type} {line.text}"))
    page.on("pageerror", lambda error: faults.append(f"error: {error}"))
    page.on("request", lambda request: None if request.url.startswith((URL, "data:")) else faults.append(f"outside: {request.url}"))
    return faults


def ready(page):
    expect(page.locator("#cards .card").first).to_be_visible(timeout=20_000)
    expect(page.locator("#chart-price canvas")).to_be_visible(timeout=20_000)
    expect(page.locator("#verdict")).to_contain_text("ahead:", timeout=20_000)


def looks(browser):
    """Every size, light and dark: first paint, no barrier, nothing wider than the window."""
    for scheme in ("light", "dark"):
        for width, height in SIZES:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            faults = watch(page)
            begun = time.monotonic()
            page.goto(URL)
            expect(page.locator("#cards .card").first).to_be_visible(timeout=20_000)
            painted = time.monotonic() - begun
            ready(page)
            page.locator("details > summary").first.click()
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{wide} pixels wider than a window of {width}"
            label = page.locator("#label")
            assert label.is_visible() == bool(get("/api/job")["label"]), "a simulated market says so"
            assert not faults, faults
            if PICTURES:
                page.screenshot(path=PICTURES / f"page-{scheme}-{width}.png", full_page=True)
            print(f"{scheme} {width}: forecasts after {painted:.2f} s, no barrier, no line, nothing outside")
            context.close()


def works(browser):
    """By mouse and by keys: symbol, horizon, search, order, charts; the address says what is shown."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    faults = watch(page)
    page.goto(URL)
    ready(page)
    symbols = [row["symbol"] for row in get("/api/symbols")["symbols"]]
    page.get_by_role("button", name="5 minutes ahead", exact=True).click()
    expect(page.locator("#h-ahead")).to_have_text("5 minutes ahead")
    expect(page.locator("#verdict")).to_contain_text("5 minutes ahead:")
    assert "horizon=5m" in page.url, page.url
    # The other symbol, from the table.
    page.get_by_role("button", name=f"Show {symbols[1]}").click()
    expect(page.locator("#h-symbol")).to_have_text(symbols[1])
    page.go_back()
    expect(page.locator("#h-symbol")).to_have_text(symbols[0])
    # What is sent to somebody shows the same.
    page.goto(f"{URL}/?symbol={symbols[-1]}&horizon=15m")
    ready(page)
    expect(page.locator("#h-symbol")).to_have_text(symbols[-1])
    expect(page.locator("#h-ahead")).to_have_text("15 minutes ahead")
    # Any case, and what is not there is said; the one before stays.
    page.locator("#symbol").fill(symbols[0].lower())
    page.keyboard.press("Enter")
    expect(page.locator("#h-symbol")).to_have_text(symbols[0])
    page.locator("#symbol").fill("no such")
    page.keyboard.press("Enter")
    expect(page.locator("#trouble")).to_contain_text("There is no symbol “no such”. There are " + symbols[0])
    expect(page.locator("#symbol")).to_have_value(symbols[0])
    page.goto(f"{URL}/?symbol=NOPE&horizon=15m")
    ready(page)
    expect(page.locator("#h-symbol")).to_have_text(symbols[0])
    expect(page.locator("#trouble")).to_contain_text("There is no symbol “NOPE”")
    # Whether it beats the last price is said before anything has to be scrolled.
    expect(page.locator("#answer")).to_contain_text("repeating the last price")
    assert page.locator("#answer").bounding_box()["y"] < 600
    # The table: search, order.
    page.locator("#search").fill(symbols[1][:3].lower())
    expect(page.locator("#found")).to_contain_text("1 of")
    page.locator("#search").fill("")
    expect(page.locator("#table tbody tr")).to_have_count(len(symbols))
    page.get_by_role("button", name="Sort by Last price").press("Enter")
    expect(page.get_by_role("button", name="Sort by Last price, ascending now")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Sort by Last price, descending now")).to_be_focused()
    # Keys alone: from the top to the skip link, and a chart's values aloud.
    page.goto(URL)
    ready(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    plot = page.locator("#chart-price .plot")
    plot.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_timeout(400)
    page.keyboard.press("ArrowLeft")
    said = page.locator("#say").text_content()
    assert "price" in said and "forecast (median)" in said, said
    page.keyboard.press("+")
    page.keyboard.press("0")
    # The figures as text, for whoever sees no picture.
    page.locator("#chart-error summary").click()
    expect(page.locator("#chart-error details td").nth(20)).to_be_attached()
    assert page.locator("main figure figcaption").count() == page.locator("main figure").count()
    assert all(text.strip() for text in page.locator("main figure figcaption").all_text_contents())
    assert not faults, faults
    print("mouse and keys: symbol, horizon, search, order, history, values aloud")
    page.close()


def explains(browser):
    """From a forecast in the chart to where it came from, and back; what there is not is said."""
    for scheme in ("light", "dark"):
        for width, height in SIZES[:2]:
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce")
            page = context.new_page()
            faults = watch(page)
            page.goto(URL)
            ready(page)
            plot = page.locator("#chart-price .plot")
            plot.focus()
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("PageUp")
            page.keyboard.press("Enter")
            link = page.locator("#why-link")
            expect(link).to_contain_text("Where the forecast for ")
            symbol = page.locator("#h-symbol").text_content()
            link.click()
            expect(page.locator("#verdict")).to_have_text("Computed again from its records: the same bits as published.", timeout=60_000)
            expect(page.locator("#h-symbol")).to_have_text(symbol)
            expect(page.locator("#chart canvas")).to_be_visible()
            for table in ("experts-table", "layers-table", "bars-table", "last", "replay-table"):
                expect(page.locator(f"#{table} tbody tr").nth(2)).to_be_attached()
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{wide} pixels wider than a window of {width}"
            if PICTURES:
                page.screenshot(path=PICTURES / f"explain-{scheme}-{width}.png", full_page=True)
            page.locator("#back").click()
            expect(page.locator("#h-symbol")).to_have_text(symbol)
            assert not faults, faults
            context.close()
    page = browser.new_page()
    page.goto(f"{URL}/explain?id={get('/api/job')['job']}/NO/5m/946684800000")
    expect(page.locator("#trouble")).to_contain_text("is not published", timeout=60_000)
    page.close()
    print("explained: from the chart there and back, by keys, no barrier, the same bits")


def lives(browser):
    """What is published shows without a reload; a server that says nothing shows as stale."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(URL)
    ready(page)
    expect(page.locator("#state")).to_have_class("state live", timeout=10_000)
    expect(page.locator("#next")).to_contain_text("Next forecast", timeout=10_000)
    before = page.locator("#cards").text_content()
    begun = time.monotonic()
    page.wait_for_function("before => document.getElementById('cards').textContent !== before", arg=before, timeout=90_000)
    print(f"live: another forecast after {time.monotonic() - begun:.1f} s")
    os.kill(PID, signal.SIGSTOP)
    try:
        expect(page.locator("#state")).to_have_class("state stale", timeout=20_000)
    finally:
        os.kill(PID, signal.SIGCONT)
    expect(page.locator("#state")).to_have_class("state live", timeout=20_000)
    print("stale while the job hangs, live again after")
    page.close()


with sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    looks(browser)
    works(browser)
    explains(browser)
    lives(browser)
    browser.close()
