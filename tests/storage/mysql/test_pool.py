"""URLs, option files, session settings, TLS, failover."""

import asyncio
import gc
import socket
import ssl
from dataclasses import replace
from types import SimpleNamespace

import pytest
import trustme

from jsonrpc_tm.core.errors import ConfigurationError, StorageUnavailable
from jsonrpc_tm.storage.mysql.driver import driver
from jsonrpc_tm.storage.mysql.session import Session, check_version, session_settings
from jsonrpc_tm.storage.mysql.target import Host, Target, target
from jsonrpc_tm.tools.testing.mariadb import running

pytestmark = pytest.mark.mariadb


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mysql://u:p@h/d", Target("u", "p", (Host("h", 3306),), "d")),
        ("mysql://u%40x:p%3A%2F%40@h:1/d%20b", Target("u@x", "p:/@", (Host("h", 1),), "d b")),
        ("mysql://u@a,b:2,[::1]:3/d", Target("u", "", (Host("a"), Host("b", 2), Host("::1", 3)), "d")),
        ("mysql://u@h/d?socket=/run/x", Target("u", "", (Host("localhost", socket="/run/x"),), "d")),
    ],
)
def test_urls(url, expected):
    assert target(url) == expected


@pytest.mark.parametrize("url", ["mysql://u:secret@h", "mysql://u:secret@/d", "mysql://u:secret@h:99999/d"])
def test_a_wrong_url_is_refused_without_its_password(url):
    with pytest.raises(ConfigurationError) as raised:
        target(url)
    assert "secret" not in str(raised.value)


def test_an_unknown_option_is_refused():
    with pytest.raises(ConfigurationError, match="charset"):
        target("mysql://u@h/d?charset=latin1")


def test_an_option_file_fills_in_what_the_url_leaves_out(tmp_path):
    file = tmp_path / "my.cnf"
    file.write_text("!includedir /x\n[mysqld]\nskip-name-resolve\n[client]\nuser = 'u'\npassword=\"p#:%\"\n")
    assert target("mysql://h/d", file) == Target("u", "p#:%", (Host("h"),), "d")
    assert target("mysql://v:q@h/d", file) == Target("v", "q", (Host("h"),), "d")
    with pytest.raises(ConfigurationError, match="read_default_file"):
        target("mysql://h/d", tmp_path / "absent")


def _session(version, **variables):
    return Session(SimpleNamespace(_reader=None), Host("h"), {"version": version, **variables}, 0.0)


@pytest.mark.parametrize("version", ["10.5.28-MariaDB", "5.7.44-log"])
def test_old_servers_are_refused(version):
    with pytest.raises(ConfigurationError, match="is needed"):
        check_version(_session(version))


@pytest.mark.parametrize("version", ["10.6.0-MariaDB-1", "11.8.2-MariaDB", "8.0.36", "8.4.0", "8.0.11-TiDB-v8.5.0"])
def test_newer_servers_are_taken(version):
    check_version(_session(version))


def test_settings_fit_the_flavour():
    maria = session_settings(_session("10.11.4-MariaDB", wsrep_on="ON"), 10, 300)[0]
    mysql = session_settings(_session("8.0.36"), 10, 300)[0]
    assert "utf8mb4_nopad_bin" in maria
    assert "wsrep_sync_wait = 1" in maria
    assert "utf8mb4_0900_bin" in mysql
    assert "max_statement_time" not in mysql
    assert "wsrep" not in mysql


async def test_a_session_is_strict_utc_and_exact(open_mysql, mariadb):
    mariadb.sql("SET GLOBAL time_zone = '+05:00', GLOBAL sql_mode = ''")
    try:
        async with open_mysql() as storage:

            async def look(tx):
                return await tx.fetch_one(
                    "SELECT @@sql_mode AS mode, NOW() = UTC_TIMESTAMP() AS utc, 'a' = 'A' AS blind, 'a' = 'a ' AS cut,"
                    " @@tx_isolation AS isolation"
                )

            row = await storage.run("look", look)
            assert "STRICT_ALL_TABLES" in row["mode"]
            assert (row["utc"], row["blind"], row["cut"]) == (1, 0, 0)
            assert row["isolation"] == "READ-COMMITTED"
            assert (await storage.run("look", look, read=True))["isolation"] == "REPEATABLE-READ"
    finally:
        mariadb.sql("SET GLOBAL time_zone = 'SYSTEM', GLOBAL sql_mode = DEFAULT")


async def test_a_password_with_any_character_works(open_mysql, mariadb, mysql_url):
    database = mysql_url.rpartition("/")[2]
    password = "pä:/@%ß😀'"
    quoted = password.replace("'", "''")
    mariadb.sql(f"CREATE USER 'ü'@'%' IDENTIFIED BY '{quoted}'; GRANT ALL ON {database}.* TO 'ü'@'%'")
    encoded = "".join(f"%{byte:02X}" for byte in password.encode())
    async with open_mysql(f"mysql://%C3%BC:{encoded}@127.0.0.1:{mariadb.port}/{database}") as storage:
        await storage.ready()
    with pytest.raises(ConfigurationError, match="Access denied"):
        await open_mysql(f"mysql://%C3%BC:wrong@127.0.0.1:{mariadb.port}/{database}").__aenter__()


async def test_a_socket(open_mysql, mariadb, mysql_url):
    database = mysql_url.rpartition("/")[2]
    async with open_mysql(f"mysql://root@localhost/{database}?socket={mariadb.socket}") as storage:
        await storage.ready()
        session = await storage.pool.connect()
        assert str(session.host) == str(mariadb.socket)
        session.close()


async def test_a_database_that_is_not_there_is_a_configuration_error(open_mysql, mariadb):
    with pytest.raises(ConfigurationError, match="Unknown database"):
        await open_mysql(mariadb.url("nonesuch")).__aenter__()


async def test_dead_hosts_are_passed_over(open_mysql, mariadb, mysql_url):
    with socket.socket() as silent:
        # takes connections and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        hosts = f"127.0.0.1:1,127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{mariadb.port}"
        url = mysql_url.replace(f"127.0.0.1:{mariadb.port}", hosts)
        async with open_mysql(url, timeout=0.2) as storage:
            await storage.ready()


async def test_a_read_only_host_is_passed_over(open_mysql, mariadb):
    mariadb.sql("SET GLOBAL read_only = 1")
    try:
        storage = open_mysql(timeout=0.2)
        storage.runner.timeout = 0.2
        with pytest.raises(ConfigurationError, match="read only"):
            await storage.__aenter__()
    finally:
        mariadb.sql("SET GLOBAL read_only = 0")


async def test_connections_are_few_and_used_again(open_mysql, mariadb):
    async with open_mysql(pool_size=3) as storage:

        async def who(tx):
            return await tx.fetch_value("SELECT CONNECTION_ID()")

        ids = await asyncio.gather(*(storage.run("who", who, read=i % 2 == 0) for i in range(50)))
        assert len(set(ids)) <= 3


async def test_a_silent_peer_is_noticed(open_mysql):
    async with open_mysql() as storage:
        session = await storage.pool.connect()
        connection = session.connection._writer.get_extra_info("socket")
        assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
        session.close()


async def test_readiness_does_not_wait_for_long(open_mysql, mariadb, mysql_url):
    async with open_mysql(pool_size=1) as storage:
        await storage.ready()
        number = mariadb.sql(
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = '" + mysql_url.split("/")[-1] + "'"
        )
        mariadb.sql(f"KILL {number}")
        await storage.ready()
        storage.reading.target = replace(storage.reading.target, hosts=(Host("127.0.0.1", 1),))
        storage.reading.blame(Host("127.0.0.1", mariadb.port))
        with pytest.raises(StorageUnavailable, match="does not answer"):
            await storage.ready()
        assert "ready" not in storage.runner.statistics


async def test_waiting_for_a_connection_ends(open_mysql):
    async with open_mysql(pool_size=1, timeout=0.1) as storage:

        async def sleep(tx):
            await tx.fetch_value("SELECT SLEEP(0.5)")

        first = asyncio.create_task(storage.run("sleep", sleep))
        await asyncio.sleep(0.05)
        with pytest.raises(StorageUnavailable, match="busy"):
            await storage.run("sleep", sleep)
        await first


async def test_a_cancelled_call_leaves_no_connection_in_a_transaction(open_mysql, mariadb):
    async with open_mysql(pool_size=1) as storage:

        async def slow(tx):
            await tx.insert("INSERT INTO DataFiles (LFN) VALUES ('/x')")
            await tx.fetch_value("SELECT SLEEP(1)")

        task = asyncio.create_task(storage.run("slow", slow))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        async def count(tx):
            return await tx.fetch_value("SELECT COUNT(*) FROM DataFiles")

        assert await storage.run("count", count) == 0


async def test_a_cancelled_connect_leaves_nothing_open(open_mysql, mysql_url, mariadb):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = mysql_url.replace(str(mariadb.port), str(silent.getsockname()[1]))
        task = asyncio.create_task(open_mysql(url).__aenter__())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # a socket left open would be an unraisable ResourceWarning, which fails the test


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    options = [f"--ssl-cert={folder / 'cert.pem'}", f"--ssl-key={folder / 'key.pem'}"]
    with running(folder / "m", options) as server:
        yield server, folder / "ca.pem"


async def test_tls_to_the_database(open_mysql, tls_server):
    server, authority = tls_server
    database = server.create_database()
    async with open_mysql(server.url(database), **{"tls.enabled": True, "tls.ca": authority}) as storage:

        async def cipher(tx):
            return await tx.fetch_all("SHOW SESSION STATUS LIKE 'Ssl_cipher'")

        assert (await storage.run("cipher", cipher))[0]["Value"]


# asyncio leaves a transport open that is given up before its handshake has begun, which the short timeout may do
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_tls_with_a_stranger_is_refused(open_mysql, tls_server):
    server, _ = tls_server
    storage = open_mysql(server.url(server.create_database()), **{"tls.enabled": True})
    storage.runner.timeout = 0.2
    with pytest.raises(ConfigurationError, match="cannot be opened"):
        await storage.__aenter__()
    gc.collect()


async def test_tls_is_not_given_up_silently(open_mysql, tls_server):
    _, authority = tls_server
    storage = open_mysql(**{"tls.enabled": True, "tls.ca": authority})
    with pytest.raises(ConfigurationError, match="TLS"):
        await storage.__aenter__()


def test_the_driver_is_named_in_one_line(pytestconfig):
    lines = [
        line
        for path in (pytestconfig.rootpath / "jsonrpc_tm").rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if "aiomysql" in line.replace("(asyncmy)", "") and "import" in line
    ]
    assert lines == ["import aiomysql as driver"]
    assert driver.Connection
    assert ssl.OPENSSL_VERSION
