"""The table of settings: each has a name, a type, a default and a help text. Everything else is made from it."""

from ..core.fields import Boolean, Choice, Text, Texts
from .domain_table import DOMAIN_SETTINGS
from .setting import Setting
from .types import (
    Balancers,
    FileMode,
    Host,
    MethodRule,
    Named,
    Number,
    Origins,
    Patience,
    Plugged,
    PluggedList,
    Properties,
    Record,
    Url,
    UrlPath,
)


def _names() -> Texts:
    return Texts(load_default=list)


CORE_SETTINGS: tuple[Setting, ...] = (
    Setting("server.host", Host(), "127.0.0.1", "Address to listen on."),
    Setting("server.port", Number(0, 65535), 8443, "TCP port; 0 takes any free one (see the line `listening on`)."),
    Setting(
        "server.socket",
        "path",
        None,
        "Unix socket to listen on instead of host and port, for a balancer on this machine; TLS may be off on it.",
    ),
    Setting("server.socket_mode", FileMode(), "0660", "Who may connect to `server.socket`, as for a file (octal)."),
    Setting(
        "server.balancers",
        Balancers(),
        [],
        "Addresses and networks of balancers (`unix`: whoever uses the Unix socket) that are believed where a call "
        "comes from: the audit log and limits then see the caller's address.",
        reload=True,
    ),
    Setting(
        "server.forwarded_header",
        Choice("X-Forwarded-For", "Forwarded"),
        "X-Forwarded-For",
        "The header in which they tell it; each of them must add to it or replace it.",
        reload=True,
    ),
    Setting("server.path", UrlPath(), "/rpc", "Path of the JSON-RPC endpoint."),
    Setting(
        "server.origins",
        Origins(),
        [],
        "Web pages that may call the server from a browser, by origin: `https://host[:port]`. Pages of other sites get "
        "403.",
    ),
    Setting(
        "server.hosts",
        Texts(255),
        [],
        "Further names of a server that listens on loopback only, in the header `Host`; others get 403.",
    ),
    Setting(
        "server.public_url",
        Url(),
        None,
        "URL at which clients find the server, for `rpc.discover`; null: the address that was asked. Set it behind a "
        "balancer.",
    ),
    Setting("server.workers", Number(1, 256), 1, "Server processes that share the port."),
    Setting(
        "server.event_loop",
        Choice("asyncio", "uvloop"),
        "asyncio",
        "What the server's processes wait with. `uvloop` takes a tenth to a sixth off small calls; it comes with "
        "`pip install 'jsonrpc-tm[uvloop]'`.",
    ),
    Setting("server.max_body", "size", 64 * 2**20, "Largest request body, after decompression."),
    Setting("server.max_batch", Number(1), 1000, "Most requests in one batch."),
    Setting(
        "server.max_answer",
        "size",
        64 * 2**20,
        "Once the answers to a batch exceed it, its remaining requests do not run; 0 for any size.",
    ),
    Setting("server.body_timeout", Patience(), 300, "How long a request's body may take to arrive."),
    Setting(
        "server.write_timeout",
        "seconds",
        60,
        "How long a client may leave an answer alone before its connection is closed; 0 for ever.",
    ),
    Setting("server.keepalive", "seconds", 75, "How long a connection may be idle, or take to send its headers."),
    Setting(
        "server.drain",
        "seconds",
        0,
        "How long, after a signal to stop, `/health/ready` says no while calls are still taken: time for balancers.",
    ),
    Setting("server.shutdown_grace", "seconds", 30, "How long running calls may take to finish at shutdown."),
    Setting("server.ready_timeout", Patience(), 2, "How long the checks of `/health/ready` may take."),
    Setting(
        "server.watch_config",
        "seconds",
        5,
        "Time between two looks at whether the configuration file has changed, which is then read again; 0 leaves that "
        "to SIGHUP.",
    ),
    Setting(
        "server.tls.mode",
        Choice("dev", "files", "off"),
        "dev",
        "`dev` makes a certificate authority and certificates for this machine on first start, `files` uses yours, "
        "`off` speaks plain HTTP on loopback.",
    ),
    Setting("server.tls.folder", "path", "dev-certs", "Folder of the certificates that mode `dev` makes."),
    Setting(
        "server.tls.certificate", "path", None, "Server certificate with its chain, PEM (mode `files`).", reload=True
    ),
    Setting("server.tls.key", "path", None, "Private key of the server certificate, PEM (mode `files`).", reload=True),
    Setting(
        "server.tls.client_ca",
        "path",
        None,
        "Authorities of client certificates: PEM file or hashed folder.",
        reload=True,
    ),
    Setting(
        "server.tls.crl", "path", None, "Revocation lists: PEM file or folder; read again when changed.", reload=True
    ),
    Setting(
        "server.tls.warn_days",
        Number(0),
        30,
        "Days before the server's certificate ends from which the log, daily, and `/health/ready` warn; 0 never warns.",
        reload=True,
    ),
    Setting("server.tls.force_off", "boolean", False, "Allow mode `off` on an address that is not loopback."),
    Setting(
        "server.exposed_files",
        Choice("refuse", "warn"),
        "refuse",
        "What happens when everybody on this machine may write the configuration, a plugin or a file or folder that a "
        "setting names, or read a private key.",
    ),
    # what is read must fit into an answer, and orjson writes at most 254 levels
    Setting("limits.depth", Number(1, 250), 64, "Deepest nesting of arrays and objects in a request."),
    Setting(
        "limits.calls_per_minute",
        Number(0),
        0,
        "Calls that one caller may make in a minute, in each server process; 0 for any number.",
        reload=True,
    ),
    Setting(
        "limits.failures_per_minute",
        Number(0),
        0,
        "Bad credentials in a minute after which an address is refused, in each server process; 0 for any number.",
        reload=True,
    ),
    Setting(
        "limits.anonymous_body",
        "size",
        64 * 2**10,
        "Largest request body of callers without credentials, which must not be compressed; 0 treats them like others.",
        reload=True,
    ),
    Setting(
        "limits.anonymous_batch",
        Number(0),
        10,
        "Most requests in one batch of callers without credentials; 0 for `server.max_batch`.",
    ),
    Setting(
        "limits.anonymous_calls",
        Number(0),
        600,
        "Calls without credentials that one address may make in a minute, in each server process; 0 for any number.",
        reload=True,
    ),
    Setting(
        "limits.memory",
        "size",
        2**30,
        "Bytes of bodies and answers that may be in flight, in each process; above it calls get HTTP 503, but one "
        "alone. 0 for any number.",
        reload=True,
    ),
    Setting(
        "limits.disk",
        "size",
        2**32,
        "Bytes of answers that may wait on the disk until they are out (long lists on DIRAC's wire), in each process; "
        "above it calls get HTTP 503, but one alone. 0 for any number.",
        reload=True,
    ),
    Setting(
        "limits.idle_connections",
        Number(0),
        500,
        "Connections of one address on which no request runs, in each process; one more ends the oldest. 0 for any "
        "number.",
        reload=True,
    ),
    Setting(
        "limits.event_streams",
        Number(0),
        20,
        "Streams of events (`GET /events`) that one caller may have open, in each process; 0 for any number.",
        reload=True,
    ),
    Setting("limits.string_length", Number(1), 64 * 2**20, "Longest string in a request, characters."),
    Setting(
        "storage.url",
        Text(None, empty=False),
        "sqlite:///tm.db",
        "Database: `sqlite:///relative.db` (to the configuration's folder), `sqlite:////absolute.db`, "
        "`sqlite://:memory:` or `mysql://user:password@host[:port][,host[:port]…]/database`.",
        secret=True,
    ),
    Setting(
        "storage.migrate",
        "boolean",
        None,
        "Bring the database's schema up to date at start; null means true for SQLite and false for MySQL.",
    ),
    Setting(
        "storage.pool_size",
        Number(1),
        20,
        "Most connections to the database, per process, half of them for what writes; SQLite has one for that and up to"
        " four that read.",
    ),
    Setting(
        "storage.caller_share",
        Number(0, 100),
        50,
        "How much of the connections for reading that are free or its own one caller may hold, in percent; 0 lifts it.",
    ),
    Setting(
        "storage.start_check",
        "seconds",
        2,
        "How long the start waits while SQLite's file is read through for damage, before that goes on beside the calls;"
        " 0 waits to the end.",
    ),
    Setting("storage.timeout", Patience(), 10, "How long to wait for a connection or a lock before giving up."),
    Setting(
        "storage.slow_statement", "seconds", 1, "Statements and transactions that take longer are logged; 0 logs none."
    ),
    Setting("storage.statement_timeout", Patience(), 300, "Longest time one statement may take."),
    Setting(
        "storage.read_default_file",
        "path",
        None,
        "Option file of MySQL's own tools (`my.cnf`) whose `[client]` section gives the user and password that the URL "
        "leaves out.",
    ),
    Setting("storage.tls.enabled", "boolean", False, "Speak TLS with the database (MySQL), never without."),
    Setting("storage.tls.ca", "path", None, "Authorities of the database's certificate, PEM; null: the system's."),
    Setting("storage.tls.certificate", "path", None, "Certificate shown to the database, PEM."),
    Setting("storage.tls.key", "path", None, "Private key of that certificate, PEM."),
    Setting(
        "idempotency.keep",
        "seconds",
        86_400,
        "How long the result of a change that came with an `Idempotency-Key` is kept, for those who send it again; 0"
        " keeps it for ever.",
    ),
    Setting(
        "events.keep",
        "seconds",
        7 * 86_400,
        "How long events can be read; who comes later is told that it missed some. 0 keeps them for ever.",
        reload=True,
    ),
    Setting(
        "events.heartbeat",
        Patience(),
        15,
        "Time after which a stream of events that has none sends a comment, and looks whether its caller still may"
        " listen.",
        reload=True,
    ),
    Setting(
        "authentication",
        PluggedList(),
        [{"x509": {}}],
        "Authenticators with their options, in the order in which they are tried.",
        reload=True,
    ),
    Setting(
        "authorization.default",
        MethodRule(),
        "authenticated",
        "Rule of methods that have none of their own.",
        reload=True,
    ),
    Setting(
        "authorization.methods",
        Named(MethodRule()),
        {},
        "Rules by method name, in place of the methods' own; `events` is that of `GET /events`.",
        reload=True,
    ),
    Setting(
        "authorization.statuses",
        Named(Properties()),
        {},
        "By status: properties one of which is needed to set a transformation to it, besides the right on it.",
        reload=True,
    ),
    Setting(
        "registry.users",
        Named(
            Record(
                {
                    "dns": _names(),
                    "subjects": _names(),
                    "groups": _names(),
                    "suspended": Boolean(load_default=False),
                }
            )
        ),
        {},
        "Users by name: certificate subjects (slash form), token subjects, groups (the first is the default).",
        reload=True,
    ),
    Setting(
        "registry.groups",
        Named(Record({"properties": _names()})),
        {},
        "Groups by name with their properties.",
        reload=True,
    ),
    Setting(
        "registry.hosts",
        Named(Record({"dns": _names(), "properties": _names()})),
        {},
        "Hosts by name: certificate subjects and properties; their group is `hosts`.",
        reload=True,
    ),
    Setting("plugins.paths", Texts(4096), [], "Python files, or folders of Python files and packages, to load."),
    Setting("plugins.disable", Texts(), [], "Names of plugins to leave out, the project's own included."),
    Setting(
        "catalog",
        Plugged(),
        {"name": "builtin"},
        "File catalog: `builtin`, `none`, or a plugin's name, or an object with `name` and options.",
    ),
    *DOMAIN_SETTINGS,
    Setting(
        "client.url",
        Text(None, empty=False),
        None,
        "Server that `call` talks to; null for the one that `server` describes, on this machine.",
    ),
    Setting("client.cert", "path", None, "Client certificate, or proxy with its chain and key, PEM."),
    Setting("client.key", "path", None, "Private key of the client certificate, PEM."),
    Setting("client.ca", "path", None, "Authorities of the server's certificate: PEM file or hashed folder."),
    Setting("client.token", Text(None), None, "Bearer token.", secret=True),
    Setting("client.group", Text(), None, "Group to act in; null for the user's default one."),
    Setting("client.timeout", Patience(), 300, "How long a call may take."),
    Setting(
        "logging.level",
        Choice("DEBUG", "INFO", "WARNING", "ERROR"),
        "INFO",
        "Least important lines that are logged.",
        reload=True,
    ),
    Setting(
        "logging.format",
        Choice("auto", "text", "json"),
        "auto",
        "`auto` is text on a terminal and JSON lines otherwise.",
    ),
    Setting("logging.calls", "boolean", True, "Log one line for each call."),
)
