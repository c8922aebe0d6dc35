"""DIRAC's own clients, installed from the package registry in environments of their own, against ``jsonrpc-tm serve``.

``make test-interop``. M2Crypto is compiled: swig, libssl-dev, gcc and Python's headers are needed.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
import yaml

from jsonrpc_tm.auth import devcerts
from jsonrpc_tm.tools.demo.server import start, stop
from tests.auth import pki

pytestmark = [pytest.mark.interop, pytest.mark.timeout(1800)]

COMMON = (  # DIRAC is installed without its dependencies: few of them are a client's
    "M2Crypto cachetools diraccfg importlib_metadata importlib_resources packaging psutil pyasn1 pyasn1_modules"
    " requests typing_extensions"
).split()
VERSIONS = {
    "8.0.54": ([], ["DIRAC==8.0.54"]),
    "8.0.86": ([], ["DIRAC==8.0.86"]),
    "9.1.22": (["DIRACCommon==9.1.22", "diracx-client", "diracx-core"], ["DIRAC==9.1.22"]),
}
BASE = "/DC=org/DC=interop/CN="


@pytest.fixture(scope="session")
def environments(tmp_path_factory):
    """Return a function that gives the Python of an environment with one version of DIRAC, made once."""
    folder = Path(os.environ.get("TM_INTEROP_ENVIRONMENTS", tmp_path_factory.getbasetemp() / "dirac"))

    def python(version: str) -> Path:
        where = folder / f"dirac-{version}"
        found = where / "bin" / "python"
        if not (where / "complete").exists():
            shutil.rmtree(where, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", str(where)], check=True)
            more, bare = VERSIONS[version]
            for arguments in ([*COMMON, *more], ["--no-deps", *bare]):
                subprocess.run([str(found), "-m", "pip", "install", "--quiet", *arguments], check=True)
            (where / "complete").touch()
        return found

    return python


class Site:
    """A server with the DIRAC wire, its authority in a hashed folder, and DIRAC's configuration for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificates = devcerts.ensure(folder / "tls")
        self.ca = trustme.CA.from_pem(self.certificates.ca.read_bytes(), self.certificates.key("ca").read_bytes())
        hashed = folder / "authorities"
        hashed.mkdir()
        (hashed / f"{pki.subject_hash(self.ca)}.0").write_bytes(self.certificates.ca.read_bytes())

    def configuration(self) -> Path:
        path = self.folder / "config.yaml"
        names = {name: {"dns": [BASE + name], "groups": ["dirac_prod"]} for name in ("manager",)}
        settings = {
            "server": {"port": 0, "tls": {"folder": "tls"}},
            "storage": {"url": f"sqlite:///{self.folder}/tm.db"},
            "authentication": [{"x509": {"proxies": True}}],
            "registry": {
                "users": names,
                "groups": {"dirac_prod": {"properties": ["ProductionManagement", "FileCatalogManagement"]}},
            },
            "dirac_https": {"enabled": True, "configuration_server": True},
        }
        path.write_text(yaml.safe_dump(settings))
        return path

    def credential(self, kind: str) -> Path:
        user = pki.user(self.ca, BASE + "manager")
        return (pki.proxy(user, group="dirac_prod") if kind == "proxy" else user).write(self.folder, kind)

    def client_configuration(self, base: str) -> Path:
        path = self.folder / "dirac.cfg"
        path.write_text(
            "DIRAC\n{\n  Setup = Interop\n  NoSetup = True\n"
            f"  Configuration\n  {{\n    Servers = {base}/Configuration/Server\n  }}\n"
            f"  Security\n  {{\n    CALocation = {self.folder}/authorities\n  }}\n}}\n"
            "Systems\n{\n  Transformation\n  {\n    URLs\n    {\n"
            f"      TransformationManager = {base}/Transformation/TransformationManager\n    }}\n  }}\n}}\n"
        )
        return path


@pytest.mark.parametrize("kind", ["proxy", "certificate"])
@pytest.mark.parametrize("version", list(VERSIONS))
async def test_a_whole_production(version, kind, environments, tmp_path):
    python = await asyncio.to_thread(environments, version)
    site = Site(tmp_path)
    process, server = await start(site.configuration())
    try:
        base = server.url.removesuffix("/rpc").replace("127.0.0.1", "localhost")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "X509_USER_PROXY": str(site.credential(kind)),
            "X509_CERT_DIR": str(tmp_path / "authorities"),
        }
        client = await asyncio.create_subprocess_exec(
            str(python),
            str(Path(__file__).with_name("production.py")),
            f"{base}/Transformation/TransformationManager",
            str(site.client_configuration(base)),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await client.communicate()
        assert client.returncode == 0, out.decode()[-2000:] + err.decode()[-4000:]
        assert len(json.loads(out.splitlines()[-1])["done"]) == 11
    finally:
        await stop(process)
