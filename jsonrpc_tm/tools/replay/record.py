"""Recording scenarios: a reverse proxy that passes calls on and writes each with its answer."""

import asyncio
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import aiohttp
from aiohttp import web

from .scenario import CATALOG, IDENTITIES

logger = logging.getLogger(__name__)
CREDENTIALS = ("Authorization", "X-TM-Group")
PASSED_ON = (*CREDENTIALS, "X-Request-ID", "Idempotency-Key")
REPLAYED = "Idempotency-Replayed"
LOOSE = {"ping": "keys", "rpc.discover": "present"}
"""Methods whose answer depends on the machine, and how it compares."""
HARNESS_RESET, HARNESS_CLOCK = "harness.reset", "harness.setClock"


class Recording:
    """The files of a recording: a folder with scenarios, catalog.json and identities.json, complete after every step.

    :param folder: made when it is not there.
    :param name: name of the first scenario; later ones (each ``harness.reset`` begins one) get a number.
    :raises FileExistsError: there is a scenario of that name already.
    """

    def __init__(self, folder: Path, name: str = "recording") -> None:
        self.scenarios = 0
        self.steps = 0
        self._folder = folder
        self._name = name
        self._identities: dict[str, Any] = {}
        self._catalog: Any = None
        self._wanted: Any = None
        self._file: TextIO | None = None
        self._in_file = 0
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / f"{name}.jsonl").exists():
            raise FileExistsError(f"{folder} has a recording {name} already")
        self._save(IDENTITIES, self._identities)
        self._save(CATALOG, None)

    def _save(self, name: str, content: Any) -> None:
        (self._folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

    def caller(self, facts: Mapping[str, Any] | None) -> str:
        """Return the key of a caller, who is added to the identities when new.

        :param facts: the answer of ``whoami``; None for the anonymous caller.
        """
        if facts is None:
            key, entry = "nobody", None
        else:
            entry = {"username": facts["username"], "group": facts["group"], "properties": facts["properties"]}
            if facts.get("DN"):
                entry["DN"] = facts["DN"]
            key = facts["username"]
            if self._identities.get(key, entry) != entry:
                key = f"{facts['username']}/{facts['group']}"
        if key not in self._identities:
            self._identities[key] = entry
            self._save(IDENTITIES, self._identities)
        return key

    def begin(self, catalog: Mapping[str, Any] | None) -> None:
        """Begin a scenario with the next step.

        :param catalog: the content of the file catalog, None for the server's own.
        """
        self.close()
        self._wanted = catalog

    def _open(self) -> TextIO:
        self.scenarios += 1
        self._in_file = 0
        if self.scenarios == 1:
            self._catalog = self._wanted
            self._save(CATALOG, self._catalog)
        name = f"{self._name}_{self.scenarios}" if self.scenarios > 1 else self._name
        folder = self._folder
        if self._wanted != self._catalog:  # a catalog.json belongs to all scenarios beside it
            folder = folder / name
            folder.mkdir()
            (folder / CATALOG).write_text(json.dumps(self._wanted, indent=1) + "\n", encoding="utf-8")
        return (folder / f"{name}.jsonl").open("x", encoding="utf-8")

    def step(self, now: str, caller: str, call: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Write one step.

        :param call: the request object.
        :param answer: the response object.
        """
        self._file = self._file or self._open()
        self.steps += 1
        self._in_file += 1
        line = {
            "step": self._in_file,
            "now": now,
            "as": caller,
            "method": call["method"],
            "params": call.get("params", []),
            **_expectation(call["method"], answer),
        }
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Finish the present scenario."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _expectation(method: str, answer: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in answer:
        data = answer["error"].get("data")
        return {"error": {"type": data["type"] if isinstance(data, dict) and "type" in data else "unknown"}}
    result = answer["result"]
    if method in LOOSE:
        return {"result": result, "match": LOOSE[method]}
    if method == "whoami" and isinstance(result, dict):
        known = {key: result[key] for key in ("username", "group", "properties") if key in result}
        return {"result": known, "match": "subset"}
    return {"result": result}


class Recorder:
    """Passes calls on to a server, one at a time, so that the order written is the order in which they happened.

    :param url: the server's JSON-RPC endpoint.
    :param token: bearer token for requests that bring none.
    """

    def __init__(
        self, url: str, recording: Recording, session: aiohttp.ClientSession, token: str | None = None
    ) -> None:
        self._url = url
        self._recording = recording
        self._session = session
        self._token = token
        self._clock: str | None = None
        self._callers: dict[tuple[str | None, ...], str] = {}
        self._one_at_a_time = asyncio.Lock()

    async def handle(self, request: web.Request) -> web.Response:
        """Pass a request on, record its calls and give back the answer."""
        body = await request.read()
        headers = {name: request.headers[name] for name in PASSED_ON if name in request.headers}
        if self._token and "Authorization" not in headers:
            headers["Authorization"] = f"Bearer {self._token}"
        calls = _calls(body) if request.content_type == "application/json" else None
        async with self._one_at_a_time:
            try:
                if calls is None:
                    headers["Content-Type"] = request.headers.get("Content-Type", "application/octet-stream")
                    status, answer, _ = await self._post(body, headers, request.method)
                    return web.Response(status=status, body=answer, content_type="application/json")
                return await self._recorded(json.loads(body), calls, headers)
            except (aiohttp.ClientError, OSError) as error:
                logger.error("%s does not answer: %s", self._url, error)
                return web.Response(status=502, text=f"{self._url} does not answer\n")

    async def _recorded(self, sent: Any, calls: list[dict[str, Any]], headers: Mapping[str, str]) -> web.Response:
        # own ids for all: notifications get an answer to be written, doubled ids stay apart
        numbered = [{**call, "id": number} for number, call in enumerate(calls)]
        now = self._clock or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        batch = isinstance(sent, list)
        caller = await self._caller(headers)
        body = json.dumps(numbered if batch else numbered[0]).encode()
        status, content, replayed = await self._post(body, {**headers, "Content-Type": "application/json"})
        answers = json.loads(content)
        by_id = {answer.get("id"): answer for answer in (answers if isinstance(answers, list) else [answers])}
        if by_id.keys() != set(range(len(calls))):  # refused as a whole
            return web.Response(status=status, body=content, content_type="application/json")
        given = []
        for number, call in enumerate(calls):
            answer = by_id[number]
            # what was given before did nothing, and would do it when it is replayed
            if not replayed and not self._of_harness(call, answer):
                self._recording.step(now, caller, call, answer)
            if "id" in call:
                given.append({**answer, "id": call["id"]})
        if not given:
            return web.Response(status=204, headers=replayed)
        return web.json_response(given if batch else given[0], status=status, headers=replayed)

    def _of_harness(self, call: Mapping[str, Any], answer: Mapping[str, Any]) -> bool:
        """Follow the calls of a test that drives the server; they are no steps."""
        if call["method"] not in (HARNESS_RESET, HARNESS_CLOCK):
            return False
        if "result" in answer:
            params = call.get("params", [])
            named = params if isinstance(params, dict) else dict(zip(("now", "catalog"), params, strict=False))
            self._clock = named["now"]
            if call["method"] == HARNESS_RESET:
                self._recording.begin(named.get("catalog"))
        return True

    async def _caller(self, headers: Mapping[str, str]) -> str:
        key = tuple(headers.get(name) for name in CREDENTIALS)
        if key not in self._callers:
            call = json.dumps({"jsonrpc": "2.0", "id": 0, "method": "whoami"}).encode()
            _, content, _ = await self._post(call, {**headers, "Content-Type": "application/json"})
            self._callers[key] = self._recording.caller(json.loads(content).get("result"))
        return self._callers[key]

    async def _post(
        self, body: bytes, headers: Mapping[str, str], method: str = "POST"
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Return the status and body of an answer, and the header that says that it was given before."""
        async with self._session.request(method, self._url, data=body, headers=headers) as response:
            replayed = {REPLAYED: response.headers[REPLAYED]} if REPLAYED in response.headers else {}
            return response.status, await response.read(), replayed


def _calls(body: bytes) -> list[dict[str, Any]] | None:
    """Return the request objects in a body; None when it is not wholly made of them."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    calls = data if isinstance(data, list) else [data]
    right = bool(calls) and all(
        isinstance(call, dict)
        and call.get("jsonrpc") == "2.0"
        and isinstance(call.get("method"), str)
        and isinstance(call.get("params", []), list | dict)
        and isinstance(call.get("id"), str | int | float | None)
        for call in calls
    )
    return calls if right else None


@asynccontextmanager
async def recorder(
    host: str,
    port: int,
    url: str,
    recording: Recording,
    *,
    tls: ssl.SSLContext | None = None,
    token: str | None = None,
) -> AsyncIterator[str]:
    """Run the proxy; gives its own URL.

    :param tls: how to reach *url*: trusted CA and client certificate.
    :raises OSError: the address cannot be used.
    """
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=tls or True)) as session:
        proxy = Recorder(url, recording, session, token)
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{path:.*}", proxy.handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port)
            await site.start()
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{runner.addresses[0][1]}/rpc"
        finally:
            await runner.cleanup()
            recording.close()
