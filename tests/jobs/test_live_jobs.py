"""Browsers hear of jobs and agents as they change, without asking."""

import threading
from collections.abc import Callable
from typing import Any

import requests
import socketio

WAIT_S = 60


def test_page_hears_of_a_job_and_of_its_agent(
    start_server: Callable[..., Any], start_agent: Callable[..., Any]
) -> None:
    """Every state of a job reaches a connected page, and so does the agent that takes it."""
    server = start_server()
    session = requests.Session()
    session.trust_env = False
    page = socketio.Client(reconnection=False, http_session=session)
    states: list[str] = []
    agents: list[dict[str, Any]] = []
    ended = threading.Event()

    def job(message: dict[str, Any]) -> None:
        states.extend(row["state"] for row in message["jobs"])
        if "completed" in states and agents:
            ended.set()

    page.on("job", job)
    page.on("agents", lambda message: agents.extend(message["agents"]))
    page.connect(server.url, headers={"Authorization": f"Bearer {server.token}"}, transports=["websocket"])
    try:
        start_agent()
        server.call("POST", "/api/v1/jobs", json={"recipe": "hello"})
        assert ended.wait(WAIT_S), states
    finally:
        page.disconnect()
    assert states[-1] == "completed"
    assert agents[0]["recipes"] == ["count", "hello", "mark"]
