

async def test_without_a_collection_the_page_says_how_to_get_one(page: Page) -> None:
    server = WebServer(ViewerSettings(port=0), Hub(1, 4), NoPipeline())
    server.start()
    try:
        await page.open(f"http://127.0.0.1:{server.port}/label")
        await page.wait_for("document.getElementById('message').textContent.includes('edgecam label FOLDER')")
        page.problems.clear()  # the browser reports the refused request
    finally:
        server.stop()
